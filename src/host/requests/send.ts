import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { isSafe, type Answer, type HeaderList, type Outcome } from '../../core/exchange.js'
import type { Clock } from '../../orchestrator/ports.js'
import { readAnswerBody } from './body.js'

/** A request whose every value is known. */
export interface ReadyRequest {
  readonly method: string
  readonly target: string
  readonly headers: HeaderList
  readonly body: Buffer | null
}

/** Sends requests to one address, one after another over one connection. */
export interface Sender {
  /** Rejects only with the signal's reason; a request without an answer is an outcome. Redirects are not followed. */
  readonly send: (request: ReadyRequest, signal: AbortSignal) => Promise<Outcome>
  readonly close: () => void
}

/** `origin`: `http://127.0.0.1:8080`. */
export function createSender(origin: string, timeoutMs: number, clock: Clock): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const address = addressOf(origin)
  return {
    async send(request, signal) {
      signal.throwIfAborted()
      const begin = clock.monotonic()
      const limit = AbortSignal.timeout(timeoutMs)
      const attempt = async (): Promise<Answer> =>
        exchange(request, { ...address, agent, signal: AbortSignal.any([signal, limit]) })
      try {
        const answer = await attempt().catch(async (error: unknown) => {
          // The other end may close a resting connection at the very moment when it is used again.
          if (error instanceof StaleConnection && isSafe(request.method)) return attempt()
          throw error
        })
        return { answer, ms: clock.monotonic() - begin }
      } catch (error) {
        signal.throwIfAborted()
        const failure = limit.aborted ? `nothing within ${String(timeoutMs / 1000)} s` : reasonOf(error)
        return { failure, ms: clock.monotonic() - begin }
      }
    },
    close: () => agent.destroy(),
  }
}

/** True where somebody listens at the address. */
export async function accepts(origin: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ ...addressOf(origin), signal })
    const end = (listens: boolean) => (): void => {
      socket.destroy()
      resolve(listens)
    }
    socket.once('connect', end(true))
    socket.on('error', end(false))
  })
}

/** Host and port of `http://127.0.0.1:8080`. */
export function addressOf(origin: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(origin)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) }
}

class StaleConnection extends Error {}

interface Address {
  readonly host: string
  readonly port: number
  readonly agent: Agent
  readonly signal: AbortSignal
}

async function exchange(request: ReadyRequest, address: Address): Promise<Answer> {
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    const { method, target, body } = request
    const sent = httpRequest({ ...address, method, path: target, headers: rawHeaders(request, address) })
    sent.once('response', resolve)
    sent.on('error', (error: NodeJS.ErrnoException) => {
      const stale = sent.reusedSocket && error.code === 'ECONNRESET'
      reject(stale ? new StaleConnection(error.message) : error)
    })
    sent.end(body ?? undefined)
  })
  const headers: [string, string][] = []
  for (let index = 0; index < message.rawHeaders.length; index += 2)
    headers.push([(message.rawHeaders[index] ?? '').toLowerCase(), message.rawHeaders[index + 1] ?? ''])
  return { status: message.statusCode ?? 0, headers, body: await readAnswerBody(message, request.method) }
}

/** Names and values in turn: the form in which nothing is dropped and the order stays. */
function rawHeaders({ headers, body, method }: ReadyRequest, { host, port }: Address): string[] {
  const named = new Set(headers.map(([name]) => name.toLowerCase()))
  const length = body !== null || !isSafe(method) ? [['Content-Length', String(body?.length ?? 0)]] : []
  const own = host.includes(':') ? `[${host}]` : host
  return [...(named.has('host') ? [] : [['Host', `${own}:${String(port)}`]]), ...headers, ...length].flat()
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'the connection is refused',
    ECONNRESET: 'the connection broke off',
    EPIPE: 'the connection broke off',
  }
  return known[code] ?? (error instanceof Error ? error.message : String(error))
}
