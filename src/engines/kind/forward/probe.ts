import type { Duplex } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { Pod } from '../pods.js'
import { causeOf } from './dial.js'
import type { Dialler } from './dial.js'
import type { Place } from './pod-table.js'

/** How long an answer may take. */
const ANSWER_MS = 5000
/** A port at which nobody listens is refused within moments; where nothing can be asked no refusal is the answer. */
const QUIET_MS = 1000

/** What a PostgreSQL server answers with one byte before anybody has to log in: SSLRequest. */
const POSTGRES = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
const REDIS = Buffer.from('PING\r\n')

/** Sends a request that does no harm over a stream of its own. Null: an answer came; else why none did. */
export async function probe(
  dialler: Dialler,
  place: Place,
  pod: Pod | undefined,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const stream = await dialler.dial(place, signal)
    return await ask(stream, greetingFor(pod, place.port), signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof DevstackError) return causeOf(error)
    throw error
  }
}

function ask(stream: Duplex, greeting: Buffer | null, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (result: string | null): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      stream.destroy()
      resolve(result)
    }
    const stop = (): void => end('stopped')
    const seconds = String(ANSWER_MS / 1000)
    const timer =
      greeting === null
        ? setTimeout(() => end(null), QUIET_MS)
        : setTimeout(() => end(`no answer within ${seconds} s`), ANSWER_MS)
    signal.addEventListener('abort', stop, { once: true })
    stream.on('error', (error) => end(causeOf(error)))
    stream.once('data', () => end(null))
    // Who takes leave was there.
    stream.once('end', () => end(null))
    if (greeting !== null) stream.write(greeting)
  })
}

interface ProbedContainer {
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
  readonly readinessProbe?: {
    readonly httpGet?: { readonly path?: string; readonly port: number | string; readonly scheme?: string }
  }
}

/**
 * What a program at this port answers without harm: what its own readiness probe asks, or what databases understand. Null: not
 * known; another program may take any bytes for an attack, or write them to its log.
 */
export function greetingFor(pod: Pod | undefined, port: number): Buffer | null {
  for (const container of (pod?.spec.containers ?? []) as readonly ProbedContainer[]) {
    const get = container.readinessProbe?.httpGet
    if (get === undefined || (get.scheme ?? 'HTTP').toUpperCase() !== 'HTTP') continue
    const named = container.ports?.find(({ name }) => name === get.port)?.containerPort
    if (Number(named ?? get.port) === port && !/[\r\n ]/.test(get.path ?? '/'))
      return httpGet(get.path ?? '/')
  }
  if (port === 5432) return POSTGRES
  return port === 6379 ? REDIS : null
}

function httpGet(path: string): Buffer {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'User-Agent: devstack-probe', 'Connection: close']
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}
