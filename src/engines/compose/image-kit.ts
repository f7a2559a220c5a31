import type { HostCa } from '../images/host-settings.js'
import type { EngineImage, ImageEngine } from '../images/engine.js'
import type { ImageBuilder } from '../images/build.js'
import type { Recipe } from '../images/recipes.js'
import type { RegistryProbe } from '../images/registry.js'
import type { RunProgram } from '../images/run.js'
import type { Docker } from './docker.js'
import type { ComposeEngineOptions } from './options.js'

/** What choosing and building images takes. Loaded where it is used: a run with nothing to do needs little of it. */
export interface ImageKit {
  recipes(): Promise<readonly Recipe[]>
  readonly engine: ImageEngine
  probe(): Promise<RegistryProbe>
  builder(): Promise<ImageBuilder>
  run(): Promise<RunProgram>
}

/** One kit serves a whole session, so that a base that several images need is built once. */
export function createImageKit(options: ComposeEngineOptions, docker: Docker): ImageKit {
  const { env, endpoint, images } = options
  const hostCa = once(async (): Promise<HostCa | null> =>
    (await import('../images/host-settings.js')).readHostCa(env),
  )
  const recipes = once(async () =>
    (await import('../images/recipes.js')).loadRecipes(images.recipesFolder, await hostCa()),
  )
  const run = once(async () => (await import('../images/run.js')).createRunner({ env, endpoint }))
  const engine = imageEngine(docker)
  return {
    recipes,
    engine,
    run,
    probe: once(async () => (await import('../images/registry.js')).createRegistryProbe(engine)),
    builder: once(async () => {
      const { createImageBuilder } = await import('../images/build.js')
      const { findMavenSettings } = await import('../images/host-settings.js')
      return createImageBuilder({
        recipes: await recipes(),
        engine,
        run: await run(),
        hostCa: await hostCa(),
        mavenSettings: await findMavenSettings(env),
      })
    }),
  }
}

/** Lists images without the client library: the one question that every run asks. */
function imageEngine(docker: Docker): ImageEngine {
  const library = once(async () =>
    (await import('../images/engine.js')).createImageEngine(() => docker.client()),
  )
  return {
    async images(signal) {
      const listed = await docker.get<readonly ListedImage[]>('/images/json', {}, signal)
      return listed.map(toEngineImage)
    },
    inspectDistribution: async (reference, signal) =>
      (await library()).inspectDistribution(reference, signal),
    usedImageIds: async (signal) => (await library()).usedImageIds(signal),
    removeImage: async (reference, signal) => (await library()).removeImage(reference, signal),
  }
}

interface ListedImage {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
  readonly Labels: Readonly<Record<string, string>> | null
  readonly Size: number
}

function toEngineImage({ Id, RepoTags, RepoDigests, Labels, Size }: ListedImage): EngineImage {
  const tags = (RepoTags ?? []).filter((tag) => tag !== '<none>:<none>')
  return { id: Id, tags, digests: RepoDigests ?? [], labels: Labels ?? {}, size: Size }
}

/** Keeps the first result; a failure is forgotten, so that the next caller tries again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null
  return () => {
    made ??= make().catch((error: unknown) => {
      made = null
      throw error
    })
    return made
  }
}
