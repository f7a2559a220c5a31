import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { DevstackError } from '../../core/error.js'
import { isStream } from './body.js'
import { collect, type Collected } from './collect.js'
import { addressOf } from './send.js'

/** A request that passed, and its answer. */
export interface Passed {
  readonly request: IncomingMessage
  /** Path and query. */
  readonly target: string
  readonly body: Collected
  readonly answer: IncomingMessage
  readonly answerBody: Collected
}

/** Why a request is not in the recording. */
export type NotPassed = 'stream' | 'unanswered' | 'webSocket'

/** Is told of everything that passes. */
export interface ProxyObserver {
  /** A request came; what it returns is called once, when its answer was passed on, or with why there is none to tell of. */
  readonly began: (request: IncomingMessage, target: string) => (outcome: Passed | NotPassed) => void
}

export interface Proxy {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Ends every connection. */
  readonly close: () => Promise<void>
}

export interface ProxyOptions {
  /** `http://127.0.0.1:8080` */
  readonly target: string
  /** 0: a free one. */
  readonly port: number
  readonly observer: ProxyObserver
}

/** Headers that belong to one connection. The length of what follows is told anew to the client, and kept to the stack. */
const HOP = /^(?:connection|keep-alive|proxy-.*|te|trailer|upgrade)$/i

/**
 * A reverse proxy on the loopback address alone.
 * @throws DevstackError PORT_TAKEN
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  // A connection each: one that rests may be closed by the stack just as it is used again.
  const agent = new Agent({ keepAlive: false })
  const sockets = new Set<Duplex>()
  const server = createServer({ requestTimeout: 0 }, (request, response) =>
    pass({ request, response, agent, options }),
  )
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    for (const one of join(request, socket, head, options)) {
      sockets.add(one)
      one.once('close', () => sockets.delete(one))
    }
  })
  await listen(server, options.port)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${String(port)}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      agent.destroy()
      await closed
    },
  }
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  }).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error
    throw new DevstackError('PORT_TAKEN', `port ${String(port)} cannot be listened on`, {
      cause: code === 'EACCES' ? 'this user may not take it' : 'somebody else listens on it',
      hint: 'another one: --port 0 takes a free one',
    })
  })
}

interface Passing {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly agent: Agent
  readonly options: ProxyOptions
}

function pass({ request, response, agent, options }: Passing): void {
  const target = targetOf(request)
  if (target === null) {
    response.writeHead(400).end()
    return
  }
  const end = once(options.observer.began(request, target))
  const body = collect(request)
  const upstream = httpRequest({
    ...addressOf(options.target),
    agent,
    method: request.method,
    path: target,
    headers: forwarded(request),
  })
  let answered = false
  upstream.on('response', (answer) => {
    answered = true
    const stream = isStream(answer)
    if (stream) end('stream')
    const answerBody = stream ? null : collect(answer)
    response.sendDate = false
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, returned(answer, request, options))
    answer.pipe(response)
    answer.once('error', () => response.destroy())
    answer.once('end', () => {
      if (answerBody === null) return
      const tell = (): void => end({ request, target, body, answer, answerBody })
      // An answer may come before the whole request was read.
      if (request.complete) tell()
      else request.once('close', tell)
    })
  })
  upstream.on('error', (error) => {
    // What follows an answer is told by the answer itself.
    if (answered) return
    end('unanswered')
    refuse(response, options.target, error)
  })
  response.once('close', () => {
    if (response.writableFinished) return
    upstream.destroy()
    end('unanswered')
  })
  request.pipe(upstream)
}

function once<T>(tell: (value: T) => void): (value: T) => void {
  let told = false
  return (value) => {
    if (!told) tell(value)
    told = true
  }
}

function refuse(response: ServerResponse, target: string, error: Error): void {
  response.writeHead(502, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`devstack record: ${target} does not answer: ${error.message}\ntry: devstack status\n`)
}

/** Somebody may name another host in a whole address: only its path is followed, to the stack. */
function targetOf({ url = '' }: IncomingMessage): string | null {
  const path = url.replace(/^https?:\/\/[^/?]*/i, '')
  return path.startsWith('/') || path === '*' ? path : null
}

function pairs(raw: readonly string[]): readonly (readonly [string, string])[] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : []))
}

/** The client's headers, its `Host` too: links in answers then lead through the proxy. */
function forwarded(request: IncomingMessage): string[] {
  const headers = pairs(request.rawHeaders).filter(([name]) => !HOP.test(name))
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const bodiless = length === undefined && encoding === undefined
  const empty = bodiless && !/^(?:GET|HEAD|OPTIONS|TRACE|DELETE)$/.test(request.method ?? '')
  // A server that is told to close may do so before it has read what it does not want, and the answer is lost.
  return [
    ...headers,
    ['Connection', 'keep-alive'],
    ...(empty ? [['Content-Length', '0'] as const] : []),
  ].flat()
}

function returned(answer: IncomingMessage, request: IncomingMessage, { target }: ProxyOptions): string[] {
  return pairs(answer.rawHeaders)
    .filter(([name]) => !HOP.test(name) && name.toLowerCase() !== 'transfer-encoding')
    .map(([name, value]) => {
      const leads = name.toLowerCase() === 'location' && `${value}/`.startsWith(`${target}/`)
      return [name, leads ? `${originOf(request)}${value.slice(target.length)}` : value]
    })
    .flat()
}

/** Where the client believes the stack to be. */
export function originOf({ headers, socket }: IncomingMessage): string {
  return `http://${headers.host ?? `127.0.0.1:${String(socket.localPort)}`}`
}

/** A WebSocket, or whatever else takes the connection over: bytes go both ways unseen. */
function join(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  options: ProxyOptions,
): readonly Duplex[] {
  options.observer.began(request, request.url ?? '')('webSocket')
  const stack: Socket = connect(addressOf(options.target), () => {
    const lines = pairs(request.rawHeaders).map(([name, value]) => `${name}: ${value}`)
    stack.write(
      [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/1.1`, ...lines, '', ''].join('\r\n'),
      'latin1',
    )
    stack.write(head)
    client.pipe(stack).pipe(client)
  })
  stack.setNoDelay(true)
  for (const [one, other] of [
    [client, stack],
    [stack, client],
  ] as const) {
    one.on('error', () => one.destroy())
    one.once('close', () => other.destroy())
  }
  return [client, stack]
}
