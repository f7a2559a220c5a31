import type { Progress } from '../../../core/events.js'
import type { ImageSource } from '../../../core/images.js'

/** What bringing the node image takes; all of it comes from the command line's side. */
export interface NodeImageOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The engine's place: `unix:///var/run/docker.sock`. */
  readonly endpoint: string
  /** The package's folder `kind`, which holds the recipe. */
  readonly kindFolder: string
  /** The package's folder `compose/images`: a node is built on the same base. */
  readonly recipesFolder: string
  readonly source: ImageSource
  readonly progress: (progress: Progress) => void
  /** Every line that a pull or a build prints. */
  readonly output?: ((line: string) => void) | undefined
  /** Something that the user should know and that stops nothing. */
  readonly warn?: ((message: string) => void) | undefined
}

/** A node image that the engine has. */
export interface NodeImage {
  /** For `kind create cluster --image`. */
  readonly ref: string
  readonly origin: 'present' | 'pulled' | 'loaded' | 'built'
  /**
   * Ends, always well, when the image is in the user's cache too. Work with the image need not wait for it; the process
   * should, or the next one that lacks the image builds it again. Aborting the signal ends it.
   */
  readonly saved: Promise<void>
}

/** What `devstack images` says of the node image. */
export interface NodeImageDescription {
  readonly ref: string
  /** How it came or will come here. `unknown`: a registry would be asked first. */
  readonly origin: 'pulled' | 'built' | 'cached' | 'unknown'
  /** The engine has it. */
  readonly present: boolean
  readonly bytes: number | null
  /** Size of its file in the user's cache; null: none. */
  readonly cachedBytes: number | null
  /** `1.34.4` */
  readonly kubernetes: string
  readonly reason: string
}
