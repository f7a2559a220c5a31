import type { IncomingMessage } from 'node:http'
import type WebSocket from 'ws'
import { DevstackError } from '../../../core/error.js'
import type { KubeAccess } from './access.js'
import { KubeError, parseStatus } from './errors.js'
import { DEADLINES, formatQuery, unreachable } from './transport.js'
import type { Deadlines, Query } from './transport.js'

export interface ChannelRequest {
  readonly path: string
  readonly query: Query
  /** In the order of preference. */
  readonly protocols: readonly string[]
  /** For a failure. */
  readonly doing: string
  /** What a refusal is: EXEC_FAILED where a process should have been started. */
  readonly code: 'OPERATION_FAILED' | 'EXEC_FAILED'
}

/** A connection of several byte streams: each message begins with the number of its stream. */
export interface Channels {
  /** What the server chose. */
  readonly protocol: string
  /** Calls back when more may be sent. */
  send(channel: number, chunk: Uint8Array, done: (error?: Error | null) => void): void
  /** Reading stops, as far as what is on its way allows, until `resume`. */
  pause(): void
  resume(): void
  close(): void
}

export interface ChannelListener {
  receive(channel: number, chunk: Buffer): void
  /** Once, after everything was received; with a cause where it broke. */
  closed(cause: string | null): void
}

/** More than this waits in memory for the network: the sender is held. */
const MOST_WAITING = 512 * 1024
/** A larger message would hold up the others on its connection, and servers have limits. */
export const MOST_IN_MESSAGE = 64 * 1024
/** What the server may send in one message. */
const MOST_RECEIVED = 64 * 1024 * 1024

/**
 * Opens the connection.
 * @throws DevstackError the request's code where the server refuses, ENGINE_GONE where it does not answer
 */
export async function openChannels(
  access: KubeAccess,
  request: ChannelRequest,
  listener: ChannelListener,
  signal: AbortSignal,
  deadlines: Deadlines = DEADLINES,
): Promise<Channels> {
  signal.throwIfAborted()
  const { WebSocket: Socket } = await import('ws')
  const { agent, headers } = await access.credentials(signal)
  const address = access.server.replace(/^http/, 'ws') + request.path + formatQuery(request.query)
  const socket = new Socket(address, [...request.protocols], {
    agent,
    headers,
    handshakeTimeout: deadlines.dialMs,
    perMessageDeflate: false,
    maxPayload: MOST_RECEIVED,
    skipUTF8Validation: true,
  })
  const stop = (): void => socket.terminate()
  signal.addEventListener('abort', stop, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', stop))
  // From the first moment: the server may send together with its consent.
  listen(socket, listener)
  try {
    await opened(socket, access, request)
  } catch (error) {
    socket.terminate()
    signal.throwIfAborted()
    throw error
  }
  return channelsOf(socket)
}

function opened(socket: WebSocket, access: KubeAccess, request: ChannelRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', (error) => reject(unreachable(withCode(error), access)))
    socket.once('unexpected-response', (_sent, response: IncomingMessage) => {
      refusalOf(response, request).then(reject, reject)
    })
  })
}

/** The library's own errors, of a handshake that took too long or was none, have no code. */
function withCode(error: Error): Error {
  return 'code' in error ? error : Object.assign(error, { code: 'ETIMEDOUT' })
}

async function refusalOf(response: IncomingMessage, request: ChannelRequest): Promise<Error> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const answer = parseStatus(Buffer.concat(chunks).toString('utf8'))
  return new KubeError(response.statusCode ?? 0, answer, request.doing, request.code)
}

function listen(socket: WebSocket, listener: ChannelListener): void {
  let cause: string | null = null
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const [channel] = data
    if (channel === undefined) return
    // Without a binary protocol in common the number is a digit.
    listener.receive(isBinary ? channel : channel - 0x30, data.subarray(1))
  })
  socket.on('error', (error) => {
    cause = error.message
  })
  socket.once('close', (code, reason) => {
    if (code === 1000) listener.closed(null)
    else listener.closed(cause ?? (reason.length > 0 ? reason.toString('utf8') : 'the connection broke'))
  })
}

function channelsOf(socket: WebSocket): Channels {
  return {
    protocol: socket.protocol,
    send(channel, chunk, done) {
      if (socket.readyState !== socket.OPEN) {
        done(new DevstackError('ENGINE_GONE', 'the connection into the cluster is closed'))
        return
      }
      const message = Buffer.allocUnsafe(chunk.length + 1)
      message[0] = channel
      message.set(chunk, 1)
      const held = socket.bufferedAmount > MOST_WAITING
      socket.send(message, held ? (error) => done(error) : undefined)
      if (!held) done()
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => closeSoon(socket),
  }
}

/** A peer that does not take leave is not waited for. */
function closeSoon(socket: WebSocket): void {
  if (socket.readyState === socket.CLOSED) return
  socket.close(1000)
  const timer = setTimeout(() => socket.terminate(), 2000)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}
