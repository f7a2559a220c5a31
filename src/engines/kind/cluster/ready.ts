import { setTimeout as wait } from 'node:timers/promises'
import { DevstackError } from '../../../core/error.js'
import type { KubeAccess } from '../kube/access.js'
import { createTransport } from '../kube/transport.js'

/**
 * Waits for an API server that comes up again; `tell` is called now and then with the elapsed milliseconds and what lacks.
 * @throws DevstackError TIMEOUT
 */
export async function waitUntilReady(
  access: KubeAccess,
  limitMs: number,
  tell: (elapsedMs: number, why: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now()
  for (;;) {
    const why = await whyNotReady(access, signal)
    if (why === null) return
    const elapsed = performance.now() - started
    if (elapsed > limitMs) {
      throw new DevstackError('TIMEOUT', 'the cluster does not become ready', {
        cause: `after ${String(Math.round(elapsed / 1000))} s: ${why}`,
        hint: 'devstack down --cluster --engine kind, then devstack up --engine kind makes it anew',
      })
    }
    tell(elapsed, why)
    await wait(500, undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }
}

const DEADLINES = { dialMs: 3_000, answerMs: 5_000 }

/** Null where the API server says that it is ready. */
export async function whyNotReady(access: KubeAccess, signal: AbortSignal): Promise<string | null> {
  const transport = createTransport(access, DEADLINES)
  try {
    const response = await transport.open(
      { method: 'GET', path: '/readyz', doing: 'ask whether it is ready' },
      signal,
    )
    response.resume()
    return null
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof DevstackError) return error.why ?? error.message
    throw error
  }
}
