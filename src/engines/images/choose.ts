import { DevstackError } from '../../core/error.js'
import type { Problem, SourcePosition } from '../../core/error.js'
import type { ImageChoice, ImageSource } from '../../core/images.js'
import type { EngineImage, ImageEngine } from './engine.js'
import { matchRecipe } from './recipes.js'
import type { ImageUse, Recipe } from './recipes.js'
import { shortReference } from './reference.js'
import { createRegistryProbe } from './registry.js'
import type { RegistryProbe } from './registry.js'

/** An image that a project asks for. */
export interface WantedImage {
  readonly ref: string
  /** Who uses it. */
  readonly services: readonly string[]
  /** A base of a Dockerfile asks for more than a service does. By default `service`. */
  readonly use?: ImageUse | undefined
  readonly at?: SourcePosition | null | undefined
}

export interface ChooseRequest {
  readonly wanted: readonly WantedImage[]
  readonly source: ImageSource
  readonly recipes: readonly Recipe[]
  readonly engine: ImageEngine
  readonly signal: AbortSignal
  /** Shared by the choices of one run, so that a registry is asked once. */
  readonly probe?: RegistryProbe | undefined
}

type Decision = Pick<ImageChoice, 'ref' | 'action' | 'recipe' | 'reason' | 'reduced'>

/**
 * Decides for every wanted reference whether it is reused, pulled or built. Creates nothing.
 * @throws DevstackError IMAGE_UNAVAILABLE that names every image that can neither be pulled nor built.
 */
export async function chooseImages(request: ChooseRequest): Promise<readonly ImageChoice[]> {
  const { wanted, source, recipes, engine, signal } = request
  if (wanted.length === 0) return []
  const present = indexImages(await engine.images(signal))
  const probe = request.probe ?? createRegistryProbe(engine)
  const choices: ImageChoice[] = []
  const problems: Problem[] = []
  for (const image of mergeWanted(wanted)) {
    const decision = await decide(image, { source, recipes, present, probe, signal })
    if ('why' in decision) {
      problems.push({ message: `${image.ref}: ${decision.why}`, at: image.at ?? null, hint: null })
    } else {
      const { services, ref: wanted } = image
      choices.push({ ...decision, wanted, services, origin: ORIGIN[decision.action] })
    }
  }
  if (problems.length > 0) throw unavailable(problems, recipes)
  return choices
}

const ORIGIN = { pull: 'pulled', build: 'built', reuse: 'reused' } as const

/** One entry for each reference; a base is the stricter use. */
function mergeWanted(wanted: readonly WantedImage[]): readonly WantedImage[] {
  const merged = new Map<string, WantedImage>()
  for (const image of wanted) {
    const known = merged.get(image.ref)
    merged.set(image.ref, {
      ref: image.ref,
      services: [...new Set([...(known?.services ?? []), ...image.services])],
      use: image.use === 'base' || known?.use === 'base' ? 'base' : 'service',
      at: known?.at ?? image.at ?? null,
    })
  }
  return [...merged.values()]
}

interface Known {
  readonly source: ImageSource
  readonly recipes: readonly Recipe[]
  readonly present: ReadonlyMap<string, EngineImage>
  readonly probe: RegistryProbe
  readonly signal: AbortSignal
}

async function decide(image: WantedImage, known: Known): Promise<Decision | { readonly why: string }> {
  const { ref } = image
  const match = matchRecipe(known.recipes, ref, image.use ?? 'service')
  const named = ref.startsWith('devstack/')
  const there = named ? undefined : known.present.get(shortReference(ref))
  if (there !== undefined) return { ...plainChoice(ref, 'reuse', 'already on this machine') }
  if (named) {
    return match.recipe === null
      ? { why: match.why }
      : builtChoice(match.recipe, 'the project names it', known)
  }
  if (known.source === 'registry')
    return plainChoice(ref, 'pull', 'not on this machine; images.source is registry')
  if (known.source === 'local') {
    return match.recipe === null
      ? { why: `images.source is local, and ${match.why}` }
      : builtChoice(match.recipe, 'images.source is local', known)
  }
  // What was built before needs no network to decide about, so that a run with nothing to do stays quick.
  if (match.recipe !== null && known.present.has(match.recipe.ref)) {
    return builtChoice(match.recipe, '', known)
  }
  const registry = await known.probe(ref, known.signal)
  if (registry.answers) return plainChoice(ref, 'pull', `not on this machine; ${registry.host} answers`)
  const silence = `${registry.host} does not answer (${registry.why})`
  return match.recipe === null
    ? { why: `${silence}, and ${match.why}` }
    : builtChoice(match.recipe, silence, known)
}

function plainChoice(ref: string, action: 'pull' | 'reuse', reason: string): Decision {
  return { ref, action, recipe: null, reason, reduced: null }
}

function builtChoice(recipe: Recipe, cause: string, { present }: Known): Decision {
  const there = present.has(recipe.ref)
  const reason = [
    there ? `built earlier from the recipe ${recipe.name}` : `built from the recipe ${recipe.name}: ${cause}`,
    ...(recipe.trustsHost ? ['it trusts the certificates of this machine'] : []),
  ].join('; ')
  return {
    ref: recipe.ref,
    action: there ? 'reuse' : 'build',
    recipe: recipe.name,
    reason,
    reduced: recipe.reduced ?? null,
  }
}

function indexImages(images: readonly EngineImage[]): ReadonlyMap<string, EngineImage> {
  const index = new Map<string, EngineImage>()
  for (const image of images) {
    for (const ref of [...image.tags, ...image.digests]) index.set(shortReference(ref), image)
  }
  return index
}

function unavailable(problems: readonly Problem[], recipes: readonly Recipe[]): DevstackError {
  const names = recipes
    .filter(({ upstream }) => upstream.length > 0)
    .map(({ name, major }) => `${name} ${major}`)
  const many = problems.length === 1 ? 'an image is' : `${String(problems.length)} images are`
  return new DevstackError('IMAGE_UNAVAILABLE', `${many} not to be had on this machine`, {
    cause: 'nothing was created',
    hint: `bring the machine to where the registry answers (a proxy, docker login), load the image with \`docker load\`, or ask for one that can be built here: ${names.join(', ')}`,
    problems,
  })
}
