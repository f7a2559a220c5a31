import type { Duplex } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { Kube } from '../kube-ports.js'
import type { Place } from './pod-table.js'

/** Opens streams to pods: not too many at once, none for ever. */
export interface Dialler {
  dial(place: Place, signal: AbortSignal): Promise<Duplex>
}

/** Each takes a handshake of its own; more at once only wait for one another's deadlines. */
const AT_ONCE = 32
const DIAL_MS = 5000

export function createDialler(kube: Kube, dialMs = DIAL_MS): Dialler {
  let busy = 0
  const queue: (() => void)[] = []

  const enter = async (): Promise<void> => {
    if (busy < AT_ONCE) busy++
    else await new Promise<void>((resolve) => queue.push(resolve))
  }
  const leave = (): void => {
    const next = queue.shift()
    // The place is handed on.
    if (next === undefined) busy--
    else next()
  }

  return {
    async dial({ pod, port }, signal) {
      await enter()
      const limit = new AbortController()
      const stop = (): void => limit.abort(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      const timer = setTimeout(() => limit.abort(), dialMs)
      try {
        signal.throwIfAborted()
        return await inTime(kube.forward(pod, port, limit.signal), limit.signal)
      } catch (error) {
        signal.throwIfAborted()
        if (!limit.signal.aborted) throw error
        throw new DevstackError('ENGINE_GONE', `no connection to ${pod} within ${String(dialMs / 1000)} s`)
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        leave()
      }
    },
  }
}

/** Also where what is waited for does not heed the signal: then it is closed when it comes. */
function inTime(opening: Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    opening.then(
      (stream) => {
        signal.removeEventListener('abort', stop)
        if (!signal.aborted) return resolve(stream)
        stream.on('error', () => undefined)
        stream.destroy()
      },
      (error: unknown) => {
        signal.removeEventListener('abort', stop)
        reject(error)
      },
    )
  })
}

/** In one line, for who looks at an address: why a pod was not reached. */
export function causeOf(error: unknown): string {
  if (!(error instanceof DevstackError)) return (error as Error).message
  // Of a server that is away the details are of a connection that nobody knows.
  return error.code === 'ENGINE_GONE' ? error.message : (error.why ?? error.message)
}
