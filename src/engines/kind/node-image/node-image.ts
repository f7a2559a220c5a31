import { createDocker } from '../../compose/docker.js'
import { createImageBuilder } from '../../images/build.js'
import { createImageEngine } from '../../images/engine.js'
import { readHostCa } from '../../images/host-settings.js'
import type { HostCa } from '../../images/host-settings.js'
import { pullImage } from '../../images/pull.js'
import { loadRecipes } from '../../images/recipes.js'
import type { Recipe } from '../../images/recipes.js'
import { createRegistryProbe } from '../../images/registry.js'
import { createRunner } from '../../images/run.js'
import { createImageArchive } from './archive.js'
import { buildNodeImage, emptyCompilerCache } from './build.js'
import { cacheFile, nodeImageCache } from './cache.js'
import { describe, ensure } from './ensure.js'
import type { NodeImage, NodeImageDescription, NodeImageOptions } from './options.js'
import type { NodeImageParts } from './parts.js'
import { loadNodeRecipe } from './recipe.js'

export type { NodeImage, NodeImageDescription, NodeImageOptions } from './options.js'

/**
 * Sees to it that the engine has a node image: the one of kind's makers where a registry answers, else one that is made
 * from the recipe in `kind/node`, once for a user.
 * @throws DevstackError BUILD_FAILED, PULL_FAILED, DISK_FULL
 */
export async function ensureNodeImage(options: NodeImageOptions, signal: AbortSignal): Promise<NodeImage> {
  return await ensure(await assemble(options), options, signal)
}

/** What there is and what would be done. Creates nothing and asks no registry. */
export async function describeNodeImage(
  options: Omit<NodeImageOptions, 'progress'>,
  signal: AbortSignal,
): Promise<NodeImageDescription> {
  const parts = await assemble({ ...options, progress: () => undefined })
  return await describe(parts, options.source, signal)
}

async function assemble(options: NodeImageOptions): Promise<NodeImageParts> {
  const { env, endpoint } = options
  const output = options.output ?? ((): void => undefined)
  const docker = createDocker(endpoint)
  const engine = createImageEngine(() => docker.client())
  const run = createRunner({ env, endpoint })
  const node = await loadNodeRecipe(options.kindFolder)
  const cacheFolder = nodeImageCache(env)
  return {
    node,
    engine,
    archive: createImageArchive(docker),
    probe: createRegistryProbe(engine),
    cacheFolder,
    cacheFile: cacheFile(cacheFolder, node.hash),
    pull: (progress, signal) => pullImage(node.registryImage, run, { signal, progress, output }),
    async build(progress, signal) {
      const hostCa = await readHostCa(env)
      const { recipes, base } = await loadBase(options, hostCa)
      const builder = createImageBuilder({ recipes, engine, run, hostCa, mavenSettings: null })
      const present = await engine.images(signal)
      const baseIsThere = present.some(({ tags }) => tags.includes(base.ref))
      await buildNodeImage({ node, base, baseIsThere, builder, run, hostCa, env, progress, output }, signal)
    },
    async tidy(signal) {
      const { base } = await loadBase(options, await readHostCa(env))
      await emptyCompilerCache({ run, node, base }, signal)
    },
  }
}

async function loadBase(
  { recipesFolder }: NodeImageOptions,
  hostCa: HostCa | null,
): Promise<{ readonly recipes: readonly Recipe[]; readonly base: Recipe }> {
  const recipes = await loadRecipes(recipesFolder, hostCa)
  const base = recipes.find(({ name }) => name === 'base')
  if (base === undefined) throw new Error(`no recipe base in ${recipesFolder}`)
  return { recipes, base }
}
