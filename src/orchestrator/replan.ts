import { DevstackError } from '../core/error.js'
import { plan, type Plan } from '../core/plan.js'
import type { Approvals } from './approvals.js'
import { servicesOf, type UpIntent } from './bring-up.js'
import type { Engine } from './ports.js'
import type { Store } from './store.js'

export interface ReplanOptions {
  readonly engine: Engine
  readonly store: Store
  readonly approvals: Approvals
  /** The last `up` again. */
  readonly bringUp: () => Promise<void>
  readonly enqueue: (work: () => Promise<void>) => Promise<void>
}

/** Id of the approval that a new plan waits for. */
export const PLAN = 'plan'

/**
 * Makes a new plan after the project's own files changed. It is held until somebody approves it, carried out at once with
 * `autoApply`; one that touches no container (a watch rule, a comment) needs nobody.
 */
export function createReplan(
  options: ReplanOptions,
): (paths: readonly string[], intent: UpIntent, signal: AbortSignal) => Promise<void> {
  const { engine, store, approvals, bringUp, enqueue } = options
  return async (paths, intent, signal) => {
    const steps = await newPlan(engine, intent, signal).catch((error: unknown) => {
      if (signal.aborted || !(error instanceof DevstackError)) throw error
      approvals.withdraw(PLAN, 'the project cannot be read')
      // What runs goes on; the next save of the file is looked at again.
      store.emit({ type: 'failed', error: error.toInfo() })
      return null
    })
    if (steps === null) return
    if (steps.operations.length === 0 || intent.autoApply) {
      approvals.withdraw(PLAN, 'nothing is to do any more')
      return await bringUp()
    }
    const detail = steps.operations.map(({ label, cause }) => `${label} (${cause})`)
    const names = paths.map((path) => path.split('/').at(-1) ?? path)
    const labels = steps.operations.map(({ label }) => label)
    const text = `${names.join(', ')} changed: ${labels.join(', ')}`
    approvals.request({ id: PLAN, kind: 'plan', service: null, text, detail }, () => enqueue(bringUp))
  }
}

async function newPlan(engine: Engine, intent: UpIntent, signal: AbortSignal): Promise<Plan> {
  const { services, profiles, freePorts } = intent
  const { project, images, builtHashes } = await engine.resolve(
    { services, profiles, freePorts, purpose: 'up' },
    () => undefined,
    signal,
  )
  const names = servicesOf(intent, project)
  return plan(project, await engine.observe(signal), { services: names, images, build: [], builtHashes })
}
