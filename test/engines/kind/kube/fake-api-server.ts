import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { certificateAccess } from '../../../../src/engines/kind/kube/access.js'
import type { KubeAccess, KubeIdentity } from '../../../../src/engines/kind/kube/access.js'
import { createAuthority, createCertificate } from '../certificates.js'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

type Answer = (request: SeenRequest, response: ServerResponse) => void
type Upgrade = (socket: Duplex, request: IncomingMessage) => void
type Accept = (socket: WebSocket, query: URLSearchParams) => void

/** An API server as far as a test scripts it: TLS with an authority of its own, known clients only, WebSockets. */
export class FakeApiServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = []
  readonly authority = createAuthority('fake cluster')
  /** TCP connections, whatever came of them. */
  connections = 0
  /** What WebSockets are accepted with, in the server's order. */
  protocols: readonly string[] = ['v5.channel.k8s.io', 'v4.channel.k8s.io']
  readonly #answers = new Map<string, Answer>()
  readonly #accepts = new Map<string, Accept>()
  readonly #upgrades = new Map<string, Upgrade>()
  readonly #sockets = new Set<Duplex>()
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => this.protocols.find((one) => offered.has(one)) ?? false,
  })
  readonly #server = createServer({
    ...createCertificate(this.authority, 'server'),
    ca: this.authority.cert,
    requestCert: true,
    rejectUnauthorized: true,
  })

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer()
    await fake.#listen()
    return fake
  }

  /** How a client of this cluster gets in. */
  get identity(): KubeIdentity {
    const { port } = this.#server.address() as AddressInfo
    const client = createCertificate(this.authority, 'client')
    return { server: `https://127.0.0.1:${String(port)}`, ca: this.authority.cert, ...client }
  }

  get access(): KubeAccess {
    return certificateAccess(this.identity)
  }

  /** Scripts an answer: `on('GET /api/v1', ...)`; JSON where it is no function. */
  on(route: string, answer: Answer | object): this {
    const asFunction = (_request: SeenRequest, response: ServerResponse): void =>
      sendJson(response, 200, answer)
    this.#answers.set(route, typeof answer === 'function' ? (answer as Answer) : asFunction)
    return this
  }

  onStatus(route: string, code: number, status: object): this {
    return this.on(route, (_request, response) =>
      sendJson(response, code, { kind: 'Status', status: 'Failure', code, ...status }),
    )
  }

  onWebSocket(path: string, accept: Accept): this {
    this.#accepts.set(path, accept)
    return this
  }

  /** Another protocol than HTTP; the server has consented when `accept` is called. */
  onUpgrade(path: string, accept: Upgrade): this {
    this.#upgrades.set(path, accept)
    return this
  }

  /** Breaks every connection. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #listen(): Promise<void> {
    this.#server.on('connection', (socket) => {
      this.connections++
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
    })
    this.#server.on('request', (request, response) => void this.#handle(request, response))
    this.#server.on('upgrade', (request, socket, head) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'https://fake')
      const upgrade = this.#upgrades.get(pathname)
      if (upgrade !== undefined) {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade ?? ''}\r\nConnection: Upgrade\r\n\r\n`,
        )
        upgrade(socket, request)
        return
      }
      const accept = this.#accepts.get(pathname)
      if (accept === undefined) {
        const body = JSON.stringify({
          kind: 'Status',
          status: 'Failure',
          message: 'pods "x" not found',
          code: 404,
        })
        socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`)
        return
      }
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, searchParams))
    })
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://fake')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body: text === '' ? null : JSON.parse(text),
    }
    this.requests.push(seen)
    const answer = this.#answers.get(`${seen.method} ${pathname}`)
    if (answer !== undefined) answer(seen, response)
    else sendJson(response, 404, { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 })
  }
}

export function sendJson(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
