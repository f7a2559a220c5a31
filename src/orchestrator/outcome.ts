import { urlOf } from '../core/address.js'
import type { Project } from '../core/project.js'
import { criticalPath } from '../core/schedule.js'
import type { Outcome } from './execute.js'
import type { History } from './ports.js'
import type { Store } from './store.js'

/** Tells how an `up` ended: ready with its critical path and addresses, or with what failed. */
export function tellOutcome(store: Store, outcome: Outcome, project: Project, durationMs: number): void {
  if (outcome.failures.length > 0) {
    store.emit({ type: 'stackFailed', durationMs, cancelled: false, failures: outcome.failures })
    return
  }
  const state = store.getState()
  const path = outcome.touched === 0 ? [] : criticalPath(project, state)
  const urls = Object.keys(state.services).flatMap((service) => {
    const url = urlOf(state, service)
    return url === null ? [] : [{ service, url }]
  })
  store.emit({ type: 'stackReady', durationMs, criticalPath: path, urls, touched: outcome.touched })
}

/** Keeps how long each service took to get ready: it orders the starts of the next run. */
export async function rememberDurations(store: Store, history: History): Promise<void> {
  const known = await history.read()
  const seen = Object.values(store.getState().services).flatMap(({ name, startedAt, readyAt }) => {
    if (startedAt === null || readyAt === null) return []
    return [[name, Math.max(0, Date.parse(readyAt) - Date.parse(startedAt))]] as const
  })
  await history.write({ ...known, ...Object.fromEntries(seen) })
}
