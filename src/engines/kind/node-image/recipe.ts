import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadRecipes } from '../../images/recipes.js'
import type { Recipe } from '../../images/recipes.js'

/** The node image's recipe: `kind/node/`, with the hash of all its files. */
export interface NodeRecipe {
  readonly recipe: Recipe
  /** `devstack/kind-node:HASH` */
  readonly ref: string
  readonly hash: string
  /** The image that kind's makers publish, by digest: what is used where a registry answers. */
  readonly registryImage: string
  /** `1.34.4` */
  readonly kubernetes: string
}

/** @param kindFolder the package's folder `kind` */
export async function loadNodeRecipe(kindFolder: string): Promise<NodeRecipe> {
  const recipe = (await loadRecipes(kindFolder, null)).find(({ name }) => name === 'kind-node')
  if (recipe === undefined) throw new Error(`no recipe kind-node in ${kindFolder}`)
  const text = await readFile(join(recipe.folder, 'recipe.json'), 'utf8')
  // The file is part of this package, and a test holds it to this type.
  const { registryImage } = JSON.parse(text) as { readonly registryImage: string }
  const { ref, hash } = recipe
  return { recipe, ref, hash, registryImage, kubernetes: recipe.buildArgs?.['KUBERNETES_VERSION'] ?? '' }
}
