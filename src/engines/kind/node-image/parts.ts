import type { Progress } from '../../../core/events.js'
import type { ImageEngine } from '../../images/engine.js'
import type { RegistryProbe } from '../../images/registry.js'
import type { ImageArchive } from './archive.js'
import type { NodeRecipe } from './recipe.js'

/** What bringing the node image is done with. */
export interface NodeImageParts {
  readonly node: NodeRecipe
  readonly engine: ImageEngine
  readonly archive: ImageArchive
  readonly probe: RegistryProbe
  readonly cacheFolder: string
  /** `DIRECTORY/HASH.tar.zst` */
  readonly cacheFile: string
  pull(progress: (progress: Progress) => void, signal: AbortSignal): Promise<void>
  build(progress: (progress: Progress) => void, signal: AbortSignal): Promise<void>
  /** After a build: gives back the room that it took. */
  tidy(signal: AbortSignal): Promise<void>
}
