import type { EngineImage, ImageEngine } from './engine.js'
import { IMAGE_LABEL } from './recipes.js'
import type { Recipe } from './recipes.js'

/** An image of ours that a newer one has replaced. */
export interface SupersededImage {
  readonly id: string
  /** `devstack/postgres:0123456789ab`, or the id where it has no name any more. */
  readonly ref: string
  readonly bytes: number
}

/** Images made of a recipe of ours that has changed since, and that no container uses. */
export async function findSuperseded(
  engine: ImageEngine,
  recipes: readonly Recipe[],
  signal: AbortSignal,
): Promise<readonly SupersededImage[]> {
  const [images, used] = await Promise.all([engine.images(signal), engine.usedImageIds(signal)])
  return images
    .filter((image) => isSuperseded(image, recipes) && !used.has(image.id))
    .map(({ id, tags, size }) => ({ id, ref: tags[0] ?? id, bytes: size }))
}

function isSuperseded(image: EngineImage, recipes: readonly Recipe[]): boolean {
  const recipe = recipes.find(({ name }) => name === image.labels[IMAGE_LABEL.image])
  const made = image.labels[IMAGE_LABEL.recipe]
  if (recipe === undefined || made === undefined) return false
  // An image that somebody built on ours inherits these labels: only our own names tell ours from theirs.
  const ours = image.tags.length > 0 && image.tags.every((tag) => tag.startsWith(`devstack/${recipe.name}:`))
  return ours && made !== recipe.hash
}

/** Removes superseded images; one that is in use after all stays. Returns those that are gone. */
export async function pruneSuperseded(
  engine: ImageEngine,
  superseded: readonly SupersededImage[],
  signal: AbortSignal,
): Promise<readonly SupersededImage[]> {
  const removed: SupersededImage[] = []
  for (const image of superseded) {
    try {
      await engine.removeImage(image.ref, signal)
      removed.push(image)
    } catch (error) {
      // 404: somebody was quicker. 409: a container was created from it since.
      const { statusCode } = error as { statusCode?: number }
      if (statusCode !== 404 && statusCode !== 409) throw error
    }
  }
  return removed
}
