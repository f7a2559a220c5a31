import type { EngineImage } from '../images/engine.js'
import { shortReference } from '../images/reference.js'

/** Every image of the engine by id and by reference. */
export interface ImageIndex {
  readonly images: readonly EngineImage[]
  find(refOrId: string): EngineImage | undefined
}

export function indexImages(images: readonly EngineImage[]): ImageIndex {
  const index = new Map<string, EngineImage>()
  for (const image of images) {
    index.set(image.id, image)
    for (const ref of [...image.tags, ...image.digests]) index.set(shortReference(ref), image)
  }
  return { images, find: (ref) => index.get(ref) ?? index.get(shortReference(ref)) }
}
