import type { DeliveredFiles, TakeUpResult } from '../orchestrator/ports.js'
import { numberOf, textOf } from './json-lines.js'

type TakeUp = (files: DeliveredFiles, signal: AbortSignal) => Promise<TakeUpResult>

/**
 * One take-up at a time; what is asked for in the meantime is put together into the next one, whose result all who asked
 * get. `life` ends the work itself; the signal of one who asks ends only that one's waiting.
 */
export function oneAtATime(work: TakeUp, life: AbortSignal): TakeUp {
  let running: Promise<unknown> = Promise.resolve()
  let next: { files: DeliveredFiles; readonly result: Promise<TakeUpResult> } | null = null
  return (files, signal) => {
    if (next === null) {
      const batch = { files, result: running.then(() => start()) }
      const start = (): Promise<TakeUpResult> => {
        next = null
        return work(batch.files, life)
      }
      next = batch
      running = batch.result.catch(() => undefined)
    } else next.files = together(next.files, files)
    return orAborted(next.result, signal)
  }
}

/** Both, each path once and as the later one left it. No paths at all means everything, and stays so. */
function together(earlier: DeliveredFiles, later: DeliveredFiles): DeliveredFiles {
  if (isEverything(earlier)) return earlier
  if (isEverything(later)) return later
  const written = new Set([
    ...earlier.written.filter((path) => !later.deleted.includes(path)),
    ...later.written,
  ])
  const deleted = new Set([
    ...earlier.deleted.filter((path) => !later.written.includes(path)),
    ...later.deleted,
  ])
  return { written: [...written], deleted: [...deleted] }
}

/** A failure as a program in a container described it; `otherwise`: what is said where it has no message. */
export function failureOf(
  error: Readonly<Record<string, unknown>>,
  otherwise: string,
  output: readonly string[],
): TakeUpResult {
  const file = textOf(error['file'])
  const line = numberOf(error['line'])
  return {
    type: 'failed',
    message: textOf(error['message']) ?? otherwise,
    place: file === null || line === null ? null : { file, line, column: numberOf(error['column']) },
    output,
  }
}

/** True where no path is named: the caller wants proof for all that the instance holds. */
export function isEverything(files: DeliveredFiles): boolean {
  return files.written.length + files.deleted.length === 0
}

/** The promise's own end, or the signal's reason as soon as it is aborted. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    aborted.promise.catch(() => undefined)
    promise.catch(() => undefined)
  }
}
