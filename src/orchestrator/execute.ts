import type { Operation, Plan } from '../core/plan.js'
import { dependants, type Project } from '../core/project.js'
import { next, verdict } from '../core/schedule.js'
import type { ServiceState } from '../core/state.js'
import { applyOperation, type ApplyOptions } from './apply-operation.js'
import type { Clock } from './ports.js'
import type { Store } from './store.js'

export interface ExecuteOptions extends ApplyOptions {
  /** As {@link Engine.startsByItself}. */
  readonly startsByItself?: boolean | undefined
  readonly project: Project
  /** Orders what may start at the same moment: higher first. */
  readonly weight: (service: string) => number
  /** Runs after a service's containers exist and before they start. */
  readonly beforeStart: (service: string, signal: AbortSignal) => Promise<void>
  /** How long a started service may take to get healthy, in milliseconds. */
  readonly healthDeadlineMs: number
}

/** What became of a plan: services that are not as asked, with the cause. Empty: all are ready. */
export interface Outcome {
  readonly failures: readonly { readonly service: string; readonly cause: string }[]
  /** How many services this run created or started. */
  readonly touched: number
}

/** A service without a health check is believed once it has lived this long: what exits at once is not up. */
const SETTLE_MS = 1000
/** A cluster tells of an end a second or two late, and its times are whole seconds. */
const SETTLE_BY_ITSELF_MS = 2500
/** What was started again by itself has ended before: it has to live longer. */
const SETTLE_AGAIN_MS = 5000

/**
 * Walks a plan concurrently and waits until every service of it is ready or cannot get ready. A failed operation stops only
 * what depends on it: the others go on.
 * Rejects only when the signal is aborted, or for a bug.
 */
export async function execute(plan: Plan, options: ExecuteOptions): Promise<Outcome> {
  const walk = new Walk(plan, options)
  return walk.run()
}

class Walk {
  private readonly tasks = new Map<string, Promise<void>>()
  private readonly starting: Promise<void>[] = []
  private timer: NodeJS.Timeout | undefined
  private readonly begin: number

  constructor(
    private readonly plan: Plan,
    private readonly options: ExecuteOptions,
  ) {
    this.begin = options.clock.now()
  }

  async run(): Promise<Outcome> {
    for (const operation of this.plan.operations) {
      if (operation.kind !== 'start') this.tasks.set(operation.id, this.perform(operation))
    }
    try {
      await Promise.all([this.startInOrder(), ...this.tasks.values()])
    } finally {
      // Also when aborted: what has begun is over before anybody looks at what there is.
      await Promise.allSettled([...this.starting, ...this.tasks.values()])
    }
    await this.settle()
    this.options.signal.throwIfAborted()
    const touched = new Set(
      this.plan.operations
        .filter((operation) => operation.kind === 'create' || operation.kind === 'start')
        .flatMap((operation) => operation.services),
    )
    return { failures: this.failures(), touched: touched.size }
  }

  private async perform(operation: Operation): Promise<void> {
    for (const id of operation.dependsOn) await this.tasks.get(id)
    if (this.options.signal.aborted) return
    const failed = this.failedServices()
    const blocked = dependants(this.options.project, failed)
    const services = operation.services.filter((name) => !failed.has(name) && !blocked.has(name))
    // A base image is built for every service that uses it, also when one of them failed for another reason.
    const needed =
      operation.kind === 'create' ? services : operation.services.filter((name) => !failed.has(name))
    if (needed.length > 0) await applyOperation({ ...operation, services: needed }, this.options)
  }

  /** Starts each service the moment its dependencies allow it; resolves when nothing waits any more. */
  private async startInOrder(): Promise<void> {
    const { project, store, signal, weight } = this.options
    const waiting = new Map(
      this.plan.operations.flatMap((operation) =>
        operation.kind === 'start' ? [[operation.service, operation]] : [],
      ),
    )
    const created = new Set<string>()
    let first = true
    await untilDone(store, signal, (wake) => {
      if (first) {
        first = false
        for (const [name, operation] of waiting) {
          const prerequisites = operation.dependsOn.flatMap((id) => this.tasks.get(id) ?? [])
          void Promise.allSettled(prerequisites).then(() => {
            created.add(name)
            // Together with the others that the same operation made.
            setImmediate(wake)
          })
        }
      }
      const ready = [...waiting.keys()].filter((name) => created.has(name))
      const failed = this.failedServices()
      const schedule = next(project, store.getState(), ready, weight, this.verdictOf)
      for (const [name, cause] of Object.entries(schedule.blocked)) {
        waiting.delete(name)
        if (!failed.has(name))
          store.emit({ type: 'held', service: name, hold: { reason: `cannot start: ${cause}`, on: [] } })
      }
      for (const [name, hold] of Object.entries(schedule.holds)) {
        const known = store.getState().services[name]?.hold
        if (JSON.stringify(known) !== JSON.stringify(hold)) store.emit({ type: 'held', service: name, hold })
      }
      // The one with most behind it comes first and alone: starting containers side by side slows each of them down.
      let foremost: Promise<void> | null = null
      for (const name of schedule.start) {
        const operation = waiting.get(name)
        waiting.delete(name)
        if (operation === undefined || failed.has(name)) continue
        if (store.getState().services[name]?.hold != null) store.emit({ type: 'released', service: name })
        const alone = foremost === null || this.options.startsByItself === true
        const start: Promise<void> =
          alone || foremost === null ? this.start(operation) : foremost.then(() => this.start(operation))
        foremost ??= start.catch(() => undefined)
        // Awaited below; where an abort comes first, its rejection is the abort's own.
        start.catch(() => undefined)
        this.starting.push(start)
      }
      this.wakeAtNextDeadline(wake)
      return waiting.size === 0
    })
    await Promise.all(this.starting)
  }

  private async start(operation: Operation & { readonly kind: 'start' }): Promise<void> {
    const { beforeStart, signal } = this.options
    await applyOperation(operation, this.options, () => beforeStart(operation.service, signal))
  }

  /** Waits until each service is ready, failed, or past its deadline. */
  private async settle(): Promise<void> {
    const { store, signal, clock, healthDeadlineMs } = this.options
    const deadline = clock.monotonic() + healthDeadlineMs
    await untilDone(
      store,
      signal,
      (wake) => {
        const states = this.plan.services.flatMap((name) => store.getState().services[name] ?? [])
        const young = states.filter((service) => isRunningUnproven(service) && this.isYoung(service))
        if (young.length > 0) setTimeout(wake, SETTLE_MS).unref()
        return (
          young.length === 0 &&
          states.every((service) => isReady(service) || this.verdictOf(service) !== null)
        )
      },
      deadline - clock.monotonic(),
    )
  }

  private isYoung(service: ServiceState): boolean {
    const hasEnded = Object.values(service.instances).some(({ restarts }) => restarts > 0)
    const first = this.options.startsByItself === true ? SETTLE_BY_ITSELF_MS : SETTLE_MS
    return ageMs(service, this.options.clock) < (hasEnded ? SETTLE_AGAIN_MS : first)
  }

  private failedServices(): Set<string> {
    const { services } = this.options.store.getState()
    return new Set(this.plan.services.filter((name) => services[name]?.phase === 'failed'))
  }

  private failures(): Outcome['failures'] {
    const { services } = this.options.store.getState()
    return this.plan.services.flatMap((name) => {
      const service = services[name]
      if (service === undefined || isReady(service)) return []
      return [{ service: name, cause: this.verdictOf(service) ?? this.late(service) }]
    })
  }

  /** As {@link verdict}; a service that had its time and is not ready will not get ready either. */
  private readonly verdictOf = (service: ServiceState): string | null =>
    verdict(service) ?? (this.leftMs(service) <= 0 ? this.late(service) : null)

  private late({ hold }: ServiceState): string {
    const why = hold === null || hold.on.length > 0 ? '' : `: ${hold.reason.replace(/^not ready: /, '')}`
    return `not ready after ${String(Math.round(this.options.healthDeadlineMs / 1000))} s${why}`
  }

  /** How long a service that was started may still take to get ready. */
  private leftMs(service: ServiceState): number {
    const { clock, healthDeadlineMs } = this.options
    const starts = Object.keys(service.instances).length > 0 && !isReady(service)
    const waited = Math.min(ageMs(service, clock), clock.now() - this.begin)
    return starts ? healthDeadlineMs - waited : Number.POSITIVE_INFINITY
  }

  private wakeAtNextDeadline(wake: () => void): void {
    const { services } = this.options.store.getState()
    const left = Math.min(...Object.values(services).map((service) => this.leftMs(service)))
    clearTimeout(this.timer)
    if (left > 0 && Number.isFinite(left)) this.timer = setTimeout(wake, left + 1).unref()
  }
}

/** Ready: healthy, running where it has no health check, completed where it is a one-shot. */
export function isReady(service: ServiceState): boolean {
  if (service.phase === 'completed') return true
  if (service.summary.oneShot) return false
  return service.phase === 'running' && (!service.summary.hasHealthCheck || service.health === 'healthy')
}

function isRunningUnproven(service: ServiceState): boolean {
  return service.phase === 'running' && !service.summary.hasHealthCheck
}

/** Of its youngest instance: one that was started again is young again. */
function ageMs(service: ServiceState, clock: Clock): number {
  const starts = Object.values(service.instances).map(({ startedAt }) => Date.parse(startedAt))
  return starts.length === 0 ? Number.POSITIVE_INFINITY : clock.now() - Math.max(...starts)
}

/** Calls `check` now and after each Event until it returns true, time is over, or the signal is aborted. */
async function untilDone(
  store: Store,
  signal: AbortSignal,
  check: (wake: () => void) => boolean,
  timeoutMs: number | null = null,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let running = false
    let again = false
    let finished = false
    const finish = (settle: () => void): void => {
      finished = true
      unsubscribe()
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      settle()
    }
    // `check` emits Events, which call it again: one round at a time.
    const wake = (): void => {
      again = true
      if (running || finished) return
      running = true
      try {
        while (again) {
          again = false
          if (check(wake)) return finish(resolve)
        }
      } catch (error) {
        finish(() => reject(error))
      } finally {
        running = false
      }
    }
    const abort = (): void => finish(() => reject(signal.reason as Error))
    const unsubscribe = store.subscribe(wake)
    const timer = timeoutMs === null ? undefined : setTimeout(() => finish(resolve), timeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    else wake()
  })
}
