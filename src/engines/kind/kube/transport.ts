import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import { DevstackError } from '../../../core/error.js'
import type { KubeAccess } from './access.js'
import { KubeError, parseStatus } from './errors.js'
import type { KubeStatus } from './errors.js'

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Query | undefined
  readonly body?: unknown
  readonly contentType?: string | undefined
  /** What is done, for a failure: `read pods`. */
  readonly doing: string
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>

/** Requests to one API server, over connections that are kept. */
export interface Transport {
  readonly access: KubeAccess
  /** The whole answer, as JSON. */
  call<T>(request: KubeRequest, signal: AbortSignal): Promise<T>
  /** The answer as it comes, once its head is there; its end is the caller's to wait for. */
  open(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage>
}

/** How long is waited before a server counts as gone. */
export interface Deadlines {
  /** Until there is a connection. */
  readonly dialMs: number
  /** Until the head of an answer, and between two pieces of an answer that is read whole. */
  readonly answerMs: number
}

export const DEADLINES: Deadlines = { dialMs: 10_000, answerMs: 60_000 }

/** How often a server that asks to be spared is asked again. */
const PATIENCE = { times: 6, longestMs: 10_000 } as const

export function createTransport(access: KubeAccess, deadlines: Deadlines = DEADLINES): Transport {
  const open = async (request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> => {
    for (let round = 1; ; round++) {
      const response = await sendTwice(access, request, deadlines, signal)
      const status = response.statusCode ?? 0
      if (status < 300) return response
      const answer = parseStatus(await readText(response, deadlines, access, signal))
      const after = retryAfter(response, answer)
      if (after === null || round > PATIENCE.times)
        throw new KubeError(status, answer, request.doing, 'OPERATION_FAILED')
      await wait(Math.min(after, PATIENCE.longestMs), undefined, { signal }).catch(() => undefined)
      signal.throwIfAborted()
    }
  }
  return {
    access,
    open,
    async call<T>(request: KubeRequest, signal: AbortSignal) {
      const text = await readText(await open(request, signal), deadlines, access, signal)
      return JSON.parse(text) as T
    },
  }
}

/** Milliseconds; null where the server does not ask for it. */
function retryAfter(response: IncomingMessage, answer: KubeStatus): number | null {
  if (response.statusCode !== 429 && response.statusCode !== 503) return null
  const seconds = Number(response.headers['retry-after'] ?? answer.details?.retryAfterSeconds ?? Number.NaN)
  return Number.isFinite(seconds) ? Math.max(seconds * 1000, 100) : null
}

/** A kept connection may have died while nobody looked. What cannot do harm twice is then asked once more. */
async function sendTwice(
  access: KubeAccess,
  request: KubeRequest,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  try {
    return await send(access, request, deadlines, signal)
  } catch (error) {
    signal.throwIfAborted()
    const again = (error as { reused?: boolean }).reused === true && request.method !== 'POST'
    if (!again) throw unreachable(error, access)
  }
  try {
    return await send(access, request, deadlines, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw unreachable(error, access)
  }
}

async function send(
  access: KubeAccess,
  { method, path, query, body, contentType }: KubeRequest,
  { dialMs, answerMs }: Deadlines,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  signal.throwIfAborted()
  const { agent, headers } = await access.credentials(signal)
  const content = body === undefined ? null : Buffer.from(JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(access.server + path + formatQuery(query ?? {}), {
      method,
      agent,
      signal,
      headers: {
        Accept: 'application/json',
        ...headers,
        ...(content === null
          ? {}
          : { 'Content-Type': contentType ?? 'application/json', 'Content-Length': content.length }),
      },
    })
    let deadline = setTimeout(() => sent.destroy(new Late('no connection', dialMs)), dialMs)
    const connected = (): void => {
      clearTimeout(deadline)
      deadline = setTimeout(() => sent.destroy(new Late('no answer', answerMs)), answerMs)
    }
    sent.once('socket', (socket) => {
      if (sent.reusedSocket) connected()
      else socket.once('secureConnect', connected)
    })
    sent.once('response', (response) => {
      clearTimeout(deadline)
      resolve(response)
    })
    sent.once('error', (error) => {
      clearTimeout(deadline)
      reject(Object.assign(error, { reused: sent.reusedSocket && !(error instanceof Late) }))
    })
    sent.end(content ?? undefined)
  })
}

/** A server that was waited for in vain. */
class Late extends Error {
  readonly code = 'ETIMEDOUT'
  constructor(what: string, ms: number) {
    super(`${what} within ${String(ms / 1000)} s`)
  }
}

async function readText(
  response: IncomingMessage,
  { answerMs }: Deadlines,
  access: KubeAccess,
  signal: AbortSignal,
): Promise<string> {
  // Not the socket's own deadline: when the answer has ended, the socket is already lent to the next request.
  const deadline = setTimeout(() => response.destroy(new Late('the answer stopped', answerMs)), answerMs)
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer)
      deadline.refresh()
    }
  } catch (error) {
    signal.throwIfAborted()
    throw unreachable(error, access)
  } finally {
    clearTimeout(deadline)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** What the failure of a connection means. */
export function unreachable(error: unknown, { server, whenGone }: KubeAccess): Error {
  if (!(error instanceof Error) || error instanceof DevstackError) return error as Error
  const { code } = error as { code?: string }
  if (code === undefined) return error
  const foreign = /^(?:ERR_TLS|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|ERR_SSL)/.test(code)
  return new DevstackError(
    'ENGINE_GONE',
    foreign ? 'another server answers in the place of the cluster' : 'the cluster does not answer',
    {
      cause: `${server}: ${error.message.includes(code) ? '' : `${code}: `}${error.message}`,
      hint: whenGone ?? 'devstack up --engine kind looks after it',
    },
  )
}

export function formatQuery(query: Query): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) params.append(key, String(one))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}
