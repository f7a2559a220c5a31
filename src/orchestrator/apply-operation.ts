import { DevstackError } from '../core/error.js'
import type { Progress } from '../core/events.js'
import type { Operation } from '../core/plan.js'
import type { Instance } from '../core/project.js'
import type { Clock, Engine } from './ports.js'
import type { Store } from './store.js'

const OUTPUT_KEPT = 40
const PROGRESS_INTERVAL_MS = 100

export interface ApplyOptions {
  readonly engine: Pick<Engine, 'apply'>
  readonly store: Store
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Brings an instance level that comes to be while its service starts. */
  readonly level?: ((instance: Instance, signal: AbortSignal) => Promise<void>) | undefined
}

/**
 * Applies one operation and tells its beginning, progress and end as Events. Resolves with the expected failure, or null.
 * Rejects only when aborted, or for a bug.
 */
export async function applyOperation(
  operation: Operation,
  options: ApplyOptions,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<DevstackError | null> {
  const { engine, store, clock, signal, level } = options
  const about = { operation: operation.id, kind: operation.kind, services: operation.services }
  const output: string[] = []
  const begin = clock.monotonic()
  const durationMs = (): number => Math.round(clock.monotonic() - begin)
  store.emit({ type: 'operationStarted', ...about, label: operation.label, cause: operation.cause })
  try {
    await before()
    await engine.apply(operation, {
      signal,
      emit: store.emit,
      level: level === undefined ? undefined : (instance) => level(instance, signal),
      output: (line) => {
        output.push(line)
        if (output.length > OUTPUT_KEPT) output.shift()
      },
      progress: throttle(clock, (progress) =>
        store.emit({ type: 'operationProgressed', ...about, progress }),
      ),
    })
    store.emit({ type: 'operationSucceeded', ...about, durationMs: durationMs() })
    return null
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (!(error instanceof DevstackError)) throw error
    store.emit({ type: 'operationFailed', ...about, durationMs: durationMs(), error: error.toInfo(), output })
    return error
  }
}

function throttle(clock: Clock, publish: (progress: Progress) => void): (progress: Progress) => void {
  let last = Number.NEGATIVE_INFINITY
  let step: number | null = null
  return (progress) => {
    const now = clock.monotonic()
    if (now - last < PROGRESS_INTERVAL_MS && progress.step === step) return
    last = now
    step = progress.step
    publish(progress)
  }
}
