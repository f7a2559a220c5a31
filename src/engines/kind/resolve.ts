import { DevstackError } from '../../core/error.js'
import type { Problem } from '../../core/error.js'
import type { Emit } from '../../core/events.js'
import { projectFromKubernetes } from '../../core/kubernetes.js'
import type { KubernetesContext, KubernetesProject, ManifestObject } from '../../core/kubernetes.js'
import { checkServices, closure } from '../../core/project.js'
import type { Project, Service } from '../../core/project.js'
import type { Resolution, ResolveRequest } from '../../orchestrator/ports.js'
import type { CommandOverride } from '../compose/options.js'
import { desire, writtenContainers } from './desired.js'
import type { DesiredStack, ReadStack, WrittenContainer } from './desired.js'
import { settleForwardPorts } from './forward/ports.js'
import { lendImages } from './lend-images.js'
import { chooseLocalImages, namedImages } from './local-images.js'
import type { LocalImages } from './local-images.js'
import { configHashes } from './objects/to-apply.js'
import type { KindContext } from './options.js'
import { KUBE_ANNOTATION } from './pods.js'
import { readManifests } from './source/manifests.js'

/** What {@link resolve} found out; `apply` needs more of it than the orchestrator. */
export interface KindResolved {
  readonly resolution: Resolution
  readonly stack: ReadStack
  /** With the images as they were when it was decided last. */
  wanted: DesiredStack
  readonly containers: readonly WrittenContainer[]
  /** By Compose service: a build that was begun for this reading. */
  readonly building: Map<string, Promise<void>>
  readonly addresses: KubernetesProject['addresses']
}

/** Reads the manifests and the Compose project beside them, chooses images, settles ports. Changes nothing in the cluster. */
export async function resolve(
  context: KindContext,
  request: ResolveRequest,
  emit: Emit,
  signal: AbortSignal,
): Promise<KindResolved> {
  const { options, builder } = context
  const [manifests, compose] = await Promise.all([
    readManifests({ paths: options.manifests, env: options.compose.env }, signal),
    builder.resolve({ ...request, services: [] }, emit, signal),
  ])
  const { locate } = manifests
  refuse(manifests.problems)
  const about = contextOf(context, compose.project, manifests.inputs, locate)
  const read = projectFromKubernetes(manifests.objects, about)
  const objects = lendImages(manifests.objects, read.workloads, compose.project)
  const draft = projectFromKubernetes(objects, about)
  refuse(draft.problems)
  checkServices(request.services, Object.keys(draft.project.services))
  const containers = writtenContainers(objects)
  const { purpose } = request
  const watched = Object.values(draft.project.services).flatMap(({ name, watch }) =>
    watch.length > 0 ? [name] : [],
  )
  const named = namedImages(podsOf(draft, containers))
  const local = await chooseLocalImages(context, { named, compose, watched, purpose }, signal)
  const commands = await commandsOf(context, draft.project, containers, draft)
  const stack: ReadStack = { objects, locate, model: draft, local, commands }
  const wanted = await desire(context, stack, signal)
  refuse(wanted.desired.problems)
  for (const { message, hint, at } of [...draft.warnings, ...warningsOf(wanted)])
    emit({ type: 'warned', message, hint, place: at })
  const project = await settled(context, { draft, wanted, local, request, about, objects }, emit)
  return {
    resolution: {
      project,
      images: local.choices,
      builtHashes: builtHashes(project, containers, draft, local, compose),
      inputs: [...new Set([...manifests.inputs, ...compose.inputs])],
    },
    stack,
    wanted,
    containers,
    building: new Map(),
    addresses: draft.addresses,
  }
}

/** While images are still to be built, half of what would be said is not so. */
function warningsOf({ missing, desired }: DesiredStack): readonly Problem[] {
  return missing.length === 0 ? desired.warnings : []
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0)
    throw new DevstackError('CONFIG_INVALID', 'the manifests make no sense', { problems })
}

function contextOf(
  { options }: KindContext,
  compose: Project,
  files: readonly string[],
  locate: ReadStack['locate'],
): KubernetesContext {
  const { compose: own } = options
  return {
    name: own.projectName,
    engine: options.kind,
    folder: own.folder,
    files,
    annotations: { dependsOn: KUBE_ANNOTATION.dependsOn, localPort: KUBE_ANNOTATION.localPort },
    compose: compose.services,
    presets: own.presets ?? {},
    locate,
    ...(own.locateConfig === undefined ? {} : { locateConfig: own.locateConfig }),
  }
}

function podsOf({ workloads }: KubernetesProject, containers: readonly WrittenContainer[]) {
  return workloads.map((workload) => ({
    workload,
    images: containers.filter((one) => isOf(one, workload)),
  }))
}

/** Whether a container is written in this workload. */
export function isOf(
  { workloadKind, workloadName }: WrittenContainer,
  { kind, name }: { readonly kind: string; readonly name: string },
): boolean {
  return workloadKind === kind && workloadName === name
}

/** The container of a service, as it is written. */
function containerOf(
  service: string,
  { workloads }: KubernetesProject,
  containers: readonly WrittenContainer[],
): WrittenContainer | null {
  const workload = workloads.find(({ services }) => services.includes(service))
  if (workload === undefined) return null
  return (
    containers.find((one) => isOf(one, workload) && workload.containers[one.container] === service) ?? null
  )
}

async function commandsOf(
  { options }: KindContext,
  project: Project,
  containers: readonly WrittenContainer[],
  draft: KubernetesProject,
): Promise<Readonly<Record<string, CommandOverride | null>>> {
  const wrap = options.compose.wrapCommand
  if (wrap === undefined) return {}
  const wrapped = await Promise.all(
    Object.values(project.services).map(async ({ name, build }) => {
      const own = containerOf(name, draft, containers)?.own ?? { entrypoint: null, command: null }
      return [name, await wrap(name, build, own)] as const
    }),
  )
  return Object.fromEntries(wrapped)
}

/** With what was decided: hashes, references of this machine, ports. */
async function settled(
  context: KindContext,
  found: {
    readonly draft: KubernetesProject
    readonly wanted: DesiredStack
    readonly local: LocalImages
    readonly request: ResolveRequest
    readonly about: KubernetesContext
    readonly objects: readonly ManifestObject[]
  },
  emit: Emit,
): Promise<Project> {
  const { draft, wanted, local, request, about, objects } = found
  const { project } = projectFromKubernetes(objects, {
    ...about,
    images: Object.fromEntries(local.refs),
    configHashes: configHashes(wanted.desired),
  })
  const { compose } = context.options
  const names = Object.keys(project.services)
  const services = request.services.length === 0 ? names : closure(project, request.services)
  const ports = await settleForwardPorts(
    {
      ports: Object.fromEntries(
        Object.values(draft.project.services).map((service) => [service.name, service.ports]),
      ),
      services,
      purpose: request.purpose,
    },
    { ...compose, spared: composePorts(found.about), holds: (port) => context.holds(port) },
    emit,
  )
  const withPorts = (service: Service): Service => ({
    ...service,
    ports: ports[service.name] ?? service.ports,
  })
  return {
    ...project,
    services: Object.fromEntries(
      Object.values(project.services).map((service) => [service.name, withPorts(service)]),
    ),
  }
}

function composePorts({ compose }: KubernetesContext): ReadonlySet<number> {
  const ports = Object.values(compose ?? {}).flatMap((service) => service.ports)
  return new Set(ports.flatMap(({ published }) => published ?? []))
}

/** As Compose's, by the services of the manifests. */
function builtHashes(
  project: Project,
  containers: readonly WrittenContainer[],
  draft: KubernetesProject,
  local: LocalImages,
  compose: Resolution,
): Readonly<Record<string, string | null>> {
  return Object.fromEntries(
    Object.values(project.services).flatMap(({ name, build }) => {
      const builder = builderOf(name, containers, draft, local)
      const hash = build === null || builder === null ? undefined : compose.builtHashes[builder]
      return hash === undefined ? [] : [[name, hash] as const]
    }),
  )
}

/** The Compose service that builds a service's image; null where it is not built. */
export function builderOf(
  service: string,
  containers: readonly WrittenContainer[],
  draft: KubernetesProject,
  local: LocalImages,
): string | null {
  const image = containerOf(service, draft, containers)?.image
  return image === undefined ? null : (local.builtBy.get(image) ?? null)
}
