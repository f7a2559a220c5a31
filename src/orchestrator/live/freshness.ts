import type { FreshnessState } from '../../core/events.js'
import type { ServiceState } from '../../core/state.js'
import type { LiveInstance } from './live-instance.js'

export interface FreshnessFacts {
  readonly service: ServiceState | undefined
  readonly instances: readonly LiveInstance[]
  /** True where the service has a preset that reloads and proves. */
  readonly proves: boolean
  /** What is under way: `rebuild`, `restart`. */
  readonly acting: string | null
  /** Changes are waiting or on their way into the instances. */
  readonly busy: boolean
  /** Why the last update did not get through. */
  readonly failure: string | null
  /** Why nobody watches its files any more; null while somebody does. */
  readonly unwatched: string | null
  /** Id of the approval that deletions wait for. */
  readonly held: string | null
}

interface Verdict {
  readonly state: FreshnessState
  readonly waitingFor: string | null
}

/**
 * Whether a service's processes run the saved code. `live` only where every watched file's content in each instance equals
 * the host's and the processes took it up.
 */
export function freshnessOf(facts: FreshnessFacts): Verdict {
  const { service, instances, acting, busy, failure, held, proves } = facts
  if (acting !== null) return { state: 'reloading', waitingFor: `its ${acting}` }
  if (held !== null) return { state: 'pending', waitingFor: `an approval: devstack approve ${held}` }
  if (failure !== null) return { state: 'stale', waitingFor: failure }
  const running = instances.filter((live) => live.running)
  if (running.length === 0) return { state: 'unknown', waitingFor: 'it does not run' }
  if (running.some(({ taking }) => taking)) return { state: 'reloading', waitingFor: 'its processes' }
  if (facts.unwatched !== null)
    return { state: 'unknown', waitingFor: `its files to be watched again (${facts.unwatched}): devstack up` }
  if (busy) return { state: 'syncing', waitingFor: 'changed files' }
  if (proves && running.some(({ result }) => result === null))
    return { state: 'reloading', waitingFor: 'its server to start' }
  for (const { result } of running) {
    if (result?.type === 'failed') return { state: 'stale', waitingFor: failureText(result) }
    if (result?.type === 'restart') return { state: 'reloading', waitingFor: 'its restart' }
  }
  if (running.some((live) => live.hasUntaken)) return { state: 'reloading', waitingFor: 'its processes' }
  for (const { result, copy } of running) {
    if (result?.type === 'unproven') return { state: 'unknown', waitingFor: result.reason }
    if (!copy.complete)
      return { state: 'unknown', waitingFor: 'its image carries no Manifest: devstack rebuild makes one' }
  }
  if (service?.phase === 'starting') return { state: 'reloading', waitingFor: 'its health check' }
  return { state: 'live', waitingFor: null }
}

function failureText(result: {
  readonly message: string
  readonly place: { readonly file: string; readonly line: number } | null
}): string {
  const place = result.place === null ? '' : ` (${result.place.file}:${String(result.place.line)})`
  return `a save that mends: ${result.message}${place}`
}
