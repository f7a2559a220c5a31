import type { ImageChoice } from '../../core/images.js'
import type { Project } from '../../core/project.js'
import { chooseImages } from '../images/choose.js'
import type { WantedImage } from '../images/choose.js'
import type { RegistryProbe } from '../images/registry.js'
import { readBuild } from './build-inputs.js'
import type { BuildSource } from './build-inputs.js'
import type { ImageIndex } from './image-index.js'
import { imageOf, servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { EngineContext } from './options.js'

/** What was decided about the images of a project; every record is by service. */
export interface ProjectImages {
  readonly choices: readonly ImageChoice[]
  /** References that replace the file's. */
  readonly refs: Readonly<Record<string, string>>
  readonly buildHashes: Readonly<Record<string, string>>
  /** Whether the present image has a health check of its own, where the file names none. */
  readonly healthChecks: Readonly<Record<string, boolean>>
}

export interface ImageRequest {
  readonly model: ComposeModel
  /** The same services with their watch rules; its hashes are not known yet. */
  readonly project: Project
  readonly present: ImageIndex
  /** The services that are about to run: only for these must an image be there to be had. */
  readonly services: readonly string[]
  readonly purpose: 'up' | 'look'
}

/** Chooses every image that the services run or are built from, and hashes what those that are built are made of. */
export async function chooseProjectImages(
  context: EngineContext,
  request: ImageRequest,
  signal: AbortSignal,
): Promise<ProjectImages> {
  const { model, present, purpose } = request
  const names = purpose === 'up' ? request.services : Object.keys(servicesOf(model))
  const sources = await readBuilds(request, names, signal)
  const wanted = names.flatMap((name) => wantedOf(model, name, sources.get(name)))
  const choices = await chooseImages({
    wanted,
    source: purpose === 'up' ? context.options.images.source : 'auto',
    recipes: await context.images.recipes(),
    engine: { ...context.images.engine, images: () => Promise.resolve(present.images) },
    signal,
    probe: purpose === 'up' ? await context.images.probe() : answersAlways,
  })
  const refs = replacements(context, model, choices)
  const hashes = [...sources].map(([name, source]) => [name, source.hash(choices, present)] as const)
  return {
    choices,
    refs,
    buildHashes: Object.fromEntries(hashes),
    healthChecks: await readHealthChecks(context, request, refs, signal),
  }
}

/** Who only looks asks no registry. */
const answersAlways: RegistryProbe = () => Promise.resolve({ host: 'its registry', answers: true, why: '' })

async function readBuilds(
  { model, project }: ImageRequest,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, BuildSource>> {
  const built = names.filter((name) => servicesOf(model)[name]?.build != null)
  const read = await Promise.all(
    built.map(async (name) => [name, await readBuild(model, project, name, signal)] as const),
  )
  return new Map(read)
}

function wantedOf(
  model: ComposeModel,
  name: string,
  source: BuildSource | undefined,
): readonly WantedImage[] {
  const service = servicesOf(model)[name]
  if (service?.provider != null) return []
  if (source === undefined) return [{ ref: imageOf(model, name), services: [name], use: 'service' }]
  return source.bases.map(({ ref, line }) => ({
    ref,
    services: [name],
    use: 'base',
    at: source.dockerfile === null ? null : { file: source.dockerfile, line, column: 1 },
  }))
}

function replacements(
  context: EngineContext,
  model: ComposeModel,
  choices: readonly ImageChoice[],
): Readonly<Record<string, string>> {
  const refs: Record<string, string> = {}
  for (const [name, service] of Object.entries(servicesOf(model))) {
    if (service.build == null) {
      const choice = choices.find(
        ({ wanted, services }) => wanted === service.image && services.includes(name),
      )
      if (choice !== undefined && choice.ref !== choice.wanted) refs[name] = choice.ref
    } else if (!context.options.primary && service.image !== undefined) {
      // Two worktrees that build the same name would take each other's image away.
      refs[name] = `${context.options.projectName}-${name}`
    }
  }
  return refs
}

async function readHealthChecks(
  { docker }: EngineContext,
  { model, present }: ImageRequest,
  refs: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Readonly<Record<string, boolean>>> {
  const silent = Object.entries(servicesOf(model)).flatMap(([name, service]) => {
    const image = service.healthcheck == null ? present.find(refs[name] ?? imageOf(model, name)) : undefined
    return image === undefined ? [] : [{ name, id: image.id }]
  })
  const checks = await Promise.all(
    silent.map(async ({ name, id }) => {
      const image = await docker.get<InspectedImage>(`/images/${encodeURIComponent(id)}/json`, {}, signal)
      const test = image.Config?.Healthcheck?.Test
      return [name, test !== undefined && test !== null && test[0] !== 'NONE'] as const
    }),
  )
  return Object.fromEntries(checks)
}

interface InspectedImage {
  readonly Config?: { readonly Healthcheck?: { readonly Test?: readonly string[] | null } | null } | null
}
