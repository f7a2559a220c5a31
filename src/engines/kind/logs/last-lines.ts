import { DevstackError } from '../../../core/error.js'
import type { Kube } from '../kube-ports.js'
import { createLogLines } from './log-lines.js'

/**
 * The last lines of a container's log, sanitised; none where it cannot be read any more. Between two runs, as in CrashLoopBackOff, the
 * last run's log is given with `previous` and without; while it runs again only with it.
 */
export async function lastLines(
  kube: Kube,
  pod: string,
  container: string,
  previous: boolean,
  count: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    const options = { pod, container, follow: false, previous, sinceTime: null, tailLines: count }
    const stream = await kube.logs(options, signal)
    const lines = createLogLines()
    const found: string[] = []
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      found.push(...lines.write(chunk).map(({ text }) => text))
    }
    found.push(...lines.end().map(({ text }) => text))
    return found.slice(-count)
  } catch (error) {
    signal.throwIfAborted()
    // Gone meanwhile, or the server is: the exit code is told all the same.
    if (error instanceof DevstackError || typeof (error as NodeJS.ErrnoException).code === 'string') return []
    throw error
  }
}
