import type { Hold } from './events.js'
import type { Dependency, Project } from './project.js'
import type { ServiceState, StackState } from './state.js'

/** What may start now, and what waits and for whom. */
export interface Schedule {
  readonly start: readonly string[]
  readonly holds: Readonly<Record<string, Hold>>
  /** Will never start: something it needs failed. By name, with the reason. */
  readonly blocked: Readonly<Record<string, string>>
}

/**
 * Which of `waiting` may start now. Compose's three `depends_on` conditions decide.
 * `weight` orders those that may: the service with more to wait for behind it comes first, so that what gates readiness
 * gets the processor first.
 */
export function next(
  project: Project,
  state: Pick<StackState, 'services'>,
  waiting: readonly string[],
  weight: (service: string) => number = () => 0,
  verdictOf: (service: ServiceState) => string | null = verdict,
): Schedule {
  const start: string[] = []
  const holds: Record<string, Hold> = {}
  const blocked: Record<string, string> = {}
  const hopeless = (dependency: Dependency): boolean => {
    const service = state.services[dependency.service]
    return service !== undefined && verdictOf(service) !== null
  }
  for (const name of waiting) {
    const unmet = (project.services[name]?.dependsOn ?? []).filter(
      (dependency) => project.services[dependency.service] !== undefined && !met(dependency, state.services),
    )
    const failed = unmet.find((dependency) => dependency.required && hopeless(dependency))
    const needed = unmet.filter((dependency) => dependency.required || !hopeless(dependency))
    const service = failed === undefined ? undefined : state.services[failed.service]
    if (service !== undefined) blocked[name] = `${service.name} ${failureOf(service, verdictOf(service))}`
    else if (needed.length === 0) start.push(name)
    else holds[name] = { reason: 'waits for', on: needed.map((dependency) => dependency.service) }
  }
  return { start: start.sort((a, b) => weight(b) - weight(a)), holds, blocked }
}

function met(dependency: Dependency, services: StackState['services']): boolean {
  const service = services[dependency.service]
  if (service === undefined) return !dependency.required
  switch (dependency.condition) {
    case 'service_started':
      return Object.keys(service.instances).length > 0 || service.phase === 'completed'
    case 'service_healthy':
      return service.summary.hasHealthCheck ? service.health === 'healthy' : service.phase === 'running'
    case 'service_completed_successfully':
      return service.phase === 'completed'
  }
}

function failureOf(service: ServiceState, reason: string | null): string {
  if (service.phase !== 'failed') return reason ?? 'failed'
  return service.cause === null ? 'failed' : `failed: ${service.cause}`
}

/** Why a service will not get ready, or null where it still may. As with Compose, unhealthy is final for an `up`. */
export function verdict(service: ServiceState): string | null {
  if (service.phase === 'failed') return service.cause ?? 'failed'
  if (service.health === 'unhealthy') return service.cause ?? 'unhealthy'
  // An operation finds out by itself whether it can go on: it may be just about to mend what is told.
  const isIdle = service.operation === null
  if (isIdle && service.hold?.reason.startsWith('cannot start') === true) return service.hold.reason
  // A restart policy that starts it over and over: it has failed, even if it is starting right now.
  const restarts = Math.max(0, ...Object.values(service.instances).map((instance) => instance.restarts))
  if (service.cause !== null && restarts >= 3) return `restarts over and over: ${service.cause}`
  return service.phase === 'stopped' ? 'stopped' : null
}

/**
 * How much waits behind each service: its own usual time plus that of the longest chain of its dependants.
 * `usualMs` comes from earlier runs; an unknown service counts as one second.
 */
export function chainWeights(
  project: Project,
  usualMs: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  const weigh = (name: string, path: readonly string[]): number => {
    const known = weights.get(name)
    if (known !== undefined) return known
    if (path.includes(name)) return 0
    const behind = Object.values(project.services)
      .filter((service) => service.dependsOn.some((dependency) => dependency.service === name))
      .map((service) => weigh(service.name, [...path, name]))
    const own = (usualMs[name] ?? 1000) + Math.max(0, ...behind)
    weights.set(name, own)
    return own
  }
  for (const name of Object.keys(project.services)) weigh(name, [])
  return weights
}

/**
 * What readiness waited for, first to last. Walks back from the service that was ready last, each time to the dependency
 * that was ready last. A service's own time runs from the moment its last dependency was ready to its own readiness.
 */
export function criticalPath(
  project: Project,
  state: Pick<StackState, 'services' | 'upSince'>,
): readonly { readonly service: string; readonly durationMs: number }[] {
  const readyMs = (name: string): number => {
    const at = state.services[name]?.readyAt ?? null
    return at === null ? Number.NEGATIVE_INFINITY : Date.parse(at)
  }
  const touched = (name: string): boolean =>
    state.services[name]?.startedAt != null && Number.isFinite(readyMs(name))
  const latest = (names: readonly string[]): string | null =>
    names
      .filter(touched)
      .reduce<string | null>(
        (best, name) => (best === null || readyMs(name) > readyMs(best) ? name : best),
        null,
      )

  const path: string[] = []
  let current = latest(Object.keys(project.services))
  while (current !== null && !path.includes(current)) {
    path.unshift(current)
    current = latest((project.services[current]?.dependsOn ?? []).map((dependency) => dependency.service))
  }
  const begin = state.upSince === null ? 0 : Date.parse(state.upSince)
  return path.map((service, index) => {
    const previous = path[index - 1]
    const from = previous === undefined ? begin : readyMs(previous)
    return { service, durationMs: Math.max(0, readyMs(service) - from) }
  })
}
