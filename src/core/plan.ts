import type { ImageChoice } from './images.js'
import type { Instance, ObservedState, Project, Service } from './project.js'

/** One thing an engine does. Each carries why, and what must have ended before it. */
export type Operation =
  | (OperationBase & { readonly kind: 'pullImage'; readonly choice: ImageChoice })
  | (OperationBase & { readonly kind: 'buildImage'; readonly choice: ImageChoice })
  | (OperationBase & { readonly kind: 'buildService'; readonly service: string })
  /** Creates containers (and networks, volumes) of `services` without starting them; recreates what differs. */
  | (OperationBase & { readonly kind: 'create' })
  /** Starts the created or stopped containers of one service. Waits, beyond `dependsOn`, for {@link Dependency} conditions. */
  | (OperationBase & { readonly kind: 'start'; readonly service: string })
  | (OperationBase & { readonly kind: 'stop'; readonly force: boolean })
  /** Removes containers and networks of the whole project, with `volumes` its volumes too. */
  | (OperationBase & { readonly kind: 'remove'; readonly volumes: boolean })

interface OperationBase {
  /** Unique in its plan: `start api`. */
  readonly id: string
  /** What people read: `build api`. */
  readonly label: string
  readonly cause: string
  /** Whom it is about. */
  readonly services: readonly string[]
  readonly dependsOn: readonly string[]
}

/** A graph of operations; empty where the observed state is the desired one. */
export interface Plan {
  readonly operations: readonly Operation[]
  /** Services that the plan brings up or finds up, in the file's order. */
  readonly services: readonly string[]
}

export interface PlanRequest {
  /** The services to bring up, closed over their dependencies. */
  readonly services: readonly string[]
  readonly images: readonly ImageChoice[]
  /** Services that are built also where they are up to date. */
  readonly build: readonly string[]
  /** Build hashes by service of the images that are there now; a missing key: no image. */
  readonly builtHashes: Readonly<Record<string, string | null>>
}

/** What must be done so that `request.services` run as `project` says. Pure; applying it makes the next plan empty. */
export function plan(project: Project, observed: ObservedState, request: PlanRequest): Plan {
  const services = request.services.flatMap((name) => project.services[name] ?? [])
  const images = imageOperations(request, services)
  const builds = services.flatMap((service) => buildOperation(service, request, images))
  const prepared = [...images, ...builds]
  const create = createOperation(services, observed, prepared)
  const starts = services.flatMap((service) => startOperation(service, observed, create))
  const operations = [...prepared, ...(create === null ? [] : [create]), ...starts]
  return { operations, services: request.services }
}

function imageOperations(request: PlanRequest, services: readonly Service[]): readonly Operation[] {
  const names = new Set(services.map((service) => service.name))
  return request.images.flatMap((choice): readonly Operation[] => {
    const users = choice.services.filter((name) => names.has(name))
    if (choice.action === 'reuse' || users.length === 0) return []
    const kind = choice.action === 'pull' ? 'pullImage' : 'buildImage'
    const what = choice.action === 'pull' ? choice.ref : (choice.recipe ?? choice.ref)
    return [
      {
        kind,
        id: `${choice.action} ${choice.ref}`,
        label: `${choice.action} ${what}`,
        cause: choice.reason,
        services: users,
        dependsOn: [],
        choice,
      },
    ]
  })
}

function buildOperation(
  service: Service,
  request: PlanRequest,
  images: readonly Operation[],
): readonly Operation[] {
  if (service.build === null) return []
  const built = request.builtHashes[service.name]
  const bases = images.filter((operation) => operation.services.includes(service.name))
  const cause = request.build.includes(service.name)
    ? 'asked for'
    : built === undefined
      ? 'no image yet'
      : built !== service.build.hash
        ? 'its sources changed'
        : bases.length > 0
          ? 'its base image changed'
          : null
  if (cause === null) return []
  return [
    {
      kind: 'buildService',
      id: `build ${service.name}`,
      label: `build ${service.name}`,
      cause,
      services: [service.name],
      service: service.name,
      dependsOn: bases.map((operation) => operation.id),
    },
  ]
}

function createOperation(
  services: readonly Service[],
  observed: ObservedState,
  prepared: readonly Operation[],
): Operation | null {
  const causes = services.flatMap((service) => {
    const cause = creationCause(service, observed.instances, prepared)
    return cause === null ? [] : [{ name: service.name, cause }]
  })
  if (causes.length === 0) return null
  const reasons = new Map<string, string[]>()
  for (const { name, cause } of causes) reasons.set(cause, [...(reasons.get(cause) ?? []), name])
  return {
    kind: 'create',
    id: 'create',
    label: 'create containers',
    cause: [...reasons].map(([cause, names]) => `${names.join(', ')}: ${cause}`).join('; '),
    services: causes.map(({ name }) => name),
    dependsOn: prepared.map((operation) => operation.id),
  }
}

function creationCause(
  service: Service,
  instances: readonly Instance[],
  prepared: readonly Operation[],
): string | null {
  const own = instances.filter((instance) => instance.service === service.name)
  if (own.length < service.replicas) return own.length === 0 ? 'no container yet' : 'more replicas wanted'
  if (own.length > service.replicas) return 'fewer replicas wanted'
  if (own.some((instance) => instance.configHash !== service.configHash)) return 'its configuration changed'
  if (prepared.some((operation) => operation.services.includes(service.name))) return 'its image changes'
  if (own.some((instance) => instance.wantedImageId !== null && instance.wantedImageId !== instance.imageId))
    return 'its image changed'
  if (own.some((instance) => instance.state === 'dead')) return 'its container is dead'
  return null
}

function startOperation(
  service: Service,
  observed: ObservedState,
  create: Operation | null,
): readonly Operation[] {
  const own = observed.instances.filter((instance) => instance.service === service.name)
  const created = create?.services.includes(service.name) === true
  const cause = created ? 'created' : startCause(service, own)
  if (cause === null) return []
  return [
    {
      kind: 'start',
      id: `start ${service.name}`,
      label: `start ${service.name}`,
      cause,
      services: [service.name],
      service: service.name,
      dependsOn: created && create !== null ? [create.id] : [],
    },
  ]
}

function startCause(service: Service, own: readonly Instance[]): string | null {
  if (service.replicas === 0) return null
  if (own.every((instance) => instance.state === 'running' || instance.state === 'restarting')) return null
  const done = own.every((instance) => instance.state === 'exited' && instance.exitCode === 0)
  // A finished one-shot is never run again: its work is done, and its dependants only ask for exit code 0.
  if (service.oneShot && done) return null
  if (own.some((instance) => instance.state === 'paused')) return 'paused'
  const failed = own.find((instance) => instance.exitCode !== null && instance.exitCode !== 0)
  if (failed !== undefined) return `exited ${String(failed.exitCode)}`
  return own.every((instance) => instance.state === 'created') ? 'never started' : 'stopped'
}

/** The plan as people and tests read it: one line an operation. */
export function formatPlan(value: Plan): string {
  if (value.operations.length === 0) return 'nothing to do'
  return value.operations
    .map((operation) => {
      const after = operation.dependsOn.length === 0 ? '' : ` after ${operation.dependsOn.join(', ')}`
      const whom = operation.kind === 'create' ? ` ${operation.services.join(', ')}` : ''
      return `${operation.id}${whom} (${operation.cause})${after}`
    })
    .join('\n')
}
