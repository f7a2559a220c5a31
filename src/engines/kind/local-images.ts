import type { ImageChoice } from '../../core/images.js'
import type { Workload } from '../../core/kubernetes.js'
import type { Project } from '../../core/project.js'
import type { Resolution } from '../../orchestrator/ports.js'
import { chooseImages } from '../images/choose.js'
import type { KindContext } from './options.js'

/** Where the images that the manifests name come from on this machine. */
export interface LocalImages {
  /** Image of the manifests -> reference of the local engine. */
  readonly refs: ReadonlyMap<string, string>
  readonly choices: readonly ImageChoice[]
  /** Image of the manifests -> the Compose service that builds it. */
  readonly builtBy: ReadonlyMap<string, string>
  /** Of the containers through which files are delivered. */
  readonly agent: string
}

/** An image of the manifests, and the services whose pods it is in. */
export interface NamedImage {
  readonly name: string
  readonly services: readonly string[]
}

/** What the agent's containers are made of: any Debian that has Perl. */
const AGENT_IMAGE = 'debian:trixie-slim'

/**
 * Takes each image from what the Compose project builds where it is one of these, else as Compose's own are chosen.
 * @throws DevstackError IMAGE_UNAVAILABLE
 */
export async function chooseLocalImages(
  context: KindContext,
  request: {
    readonly named: readonly NamedImage[]
    readonly compose: Resolution
    readonly watched: readonly string[]
    readonly purpose: 'up' | 'look'
  },
  signal: AbortSignal,
): Promise<LocalImages> {
  const { named, compose, watched, purpose } = request
  const builtBy = new Map(
    named.flatMap(({ name, services }) => {
      const service = builderOf(compose.project, name, services)
      return service === null ? [] : [[name, service] as const]
    }),
  )
  const wanted = [
    ...named.filter(({ name }) => !builtBy.has(name)).map(({ name, services }) => ({ ref: name, services })),
    { ref: AGENT_IMAGE, services: watched },
  ]
  const chosen = await chooseImages({
    wanted,
    source: purpose === 'up' ? context.options.compose.images.source : 'auto',
    recipes: await context.images.recipes(),
    engine: context.images.engine,
    signal,
    ...(purpose === 'look' ? { probe: answersAlways } : {}),
  })
  const bases = compose.images.flatMap((choice) => baseFor(choice, named, builtBy))
  const refs = new Map<string, string>()
  for (const { name } of named) {
    const service = builtBy.get(name)
    const choice = chosen.find((one) => one.wanted === name)
    const ref = service === undefined ? choice?.ref : compose.project.services[service]?.image
    if (ref !== undefined) refs.set(name, ref)
  }
  const agent = chosen.find((one) => one.wanted === AGENT_IMAGE)?.ref ?? AGENT_IMAGE
  // The agent's comes first: what is told of a service last is its own image.
  const ordered = [...chosen.filter(({ wanted: name }) => name === AGENT_IMAGE), ...bases, ...chosen]
  return { refs, choices: merge(ordered), builtBy, agent }
}

/** Who only looks asks no registry. */
const answersAlways = () => Promise.resolve({ host: 'its registry', answers: true, why: '' })

/** The service that builds an image of this name, else that of a container's own name. */
function builderOf(compose: Project, image: string, services: readonly string[]): string | null {
  const built = Object.values(compose.services).filter(({ build }) => build !== null)
  const plain = image.replace(/:latest$/, '')
  const same = built.find((service) => service.image.replace(/:latest$/, '') === plain)
  if (same !== undefined) return same.name
  return built.find(({ name }) => services.length === 1 && services[0] === name)?.name ?? null
}

/** What an image that is built here stands on, for the services that run it. */
function baseFor(
  choice: ImageChoice,
  named: readonly NamedImage[],
  builtBy: ReadonlyMap<string, string>,
): readonly ImageChoice[] {
  const users = named.filter(({ name }) => choice.services.includes(builtBy.get(name) ?? ''))
  const services = [...new Set(users.flatMap((image) => image.services))]
  return services.length === 0 ? [] : [{ ...choice, services }]
}

function merge(choices: readonly ImageChoice[]): readonly ImageChoice[] {
  const merged = new Map<string, ImageChoice>()
  for (const choice of choices) {
    const known = merged.get(choice.wanted)
    const services = [...new Set([...(known?.services ?? []), ...choice.services])]
    merged.set(choice.wanted, { ...(known ?? choice), services })
  }
  return [...merged.values()]
}

/** The images of workloads' pods, init containers too. */
export function namedImages(
  pods: readonly {
    readonly workload: Workload
    readonly images: readonly { readonly container: string; readonly image: string }[]
  }[],
): readonly NamedImage[] {
  const users = new Map<string, Set<string>>()
  for (const { workload, images } of pods) {
    for (const { container, image } of images) {
      const own = workload.containers[container]
      const services = users.get(image) ?? new Set()
      // What an init container runs holds up all services of its pod.
      for (const service of own === undefined ? workload.services : [own]) services.add(service)
      users.set(image, services)
    }
  }
  return [...users].map(([name, services]) => ({ name, services: [...services] }))
}
