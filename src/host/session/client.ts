import { connect, type Socket } from 'node:net'
import { DevstackError } from '../../core/error.js'
import type { Event, LogLine } from '../../core/events.js'
import type { Intent } from '../../core/intents.js'
import { reduce } from '../../core/reduce.js'
import type { StackState } from '../../core/state.js'
import type { InstanceUsage } from '../../orchestrator/ports.js'
import { readMessages, writeMessage } from './lines.js'
import { PROTOCOL, type Hello, type ServerMessage, type Snapshot } from './protocol.js'

export type ClientListener = (event: Event | null, state: StackState) => void

/** A session seen over its socket: the same state, kept by the same Events. */
export interface SessionClient {
  readonly hello: Hello
  getState(): StackState
  /** Hears every Event; a null Event is a fresh snapshot after this client did not keep up. */
  subscribe(listener: ClientListener): () => void
  readonly tails: Readonly<Record<string, readonly LogLine[]>>
  /** Resolves when the session carried it out; rejects with what it answered, or SESSION_LOST. */
  send(intent: Intent): Promise<void>
  usage(): Promise<readonly InstanceUsage[]>
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>
  close(): void
}

/** True where a process listens on the socket. */
export async function connects(path: string): Promise<boolean> {
  const socket = await open(path)
  socket?.destroy()
  return socket !== null
}

/**
 * Joins the session on a socket; null where none listens. `fromStart`: the first listener hears a young session's Events
 * from number 1.
 * @throws DevstackError UNSUPPORTED where it speaks another protocol, SESSION_LOST where it hangs up or does not answer.
 */
export async function connectSession(path: string, fromStart = false): Promise<SessionClient | null> {
  const socket = await open(path)
  if (socket === null) return null
  const client = new Connection(socket)
  await client.start(fromStart)
  return client
}

const ANSWER_TIMEOUT_MS = 10_000

async function open(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(null))
  })
}

interface Waiter {
  readonly resolve: (message: ServerMessage) => void
  readonly reject: (error: DevstackError) => void
}

class Connection implements SessionClient {
  hello: Hello = { protocol: 0, version: '', build: '', pid: 0, lasting: false }
  readonly closed: Promise<void>
  private snapshot: Snapshot | null = null
  private current: StackState | null = null
  private readonly listeners = new Set<ClientListener>()
  private readonly waiters = new Map<number, Waiter>()
  private readonly greeted = Promise.withResolvers<void>()
  private readonly subscribed = Promise.withResolvers<void>()
  /** Events from the start that wait for the first listener; null where nobody asked for them, or they were heard. */
  private unheard: Event[] | null = null
  private lastId = 0

  constructor(private readonly socket: Socket) {
    const closed = Promise.withResolvers<void>()
    this.closed = closed.promise
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      const lost = new DevstackError('SESSION_LOST', 'the session ended before it answered', {
        hint: 'devstack status shows what runs; devstack up starts a new session',
      })
      for (const waiter of this.waiters.values()) waiter.reject(lost)
      this.greeted.reject(lost)
      this.subscribed.reject(lost)
      closed.resolve()
    })
    this.greeted.promise.catch(() => undefined)
    this.subscribed.promise.catch(() => undefined)
    readMessages(socket, (message) => this.receive(message as ServerMessage))
  }

  async start(fromStart: boolean): Promise<void> {
    const timer = setTimeout(() => this.socket.destroy(), ANSWER_TIMEOUT_MS)
    try {
      await this.greeted.promise
      if (this.hello.protocol !== PROTOCOL) {
        this.socket.destroy()
        throw otherProtocol(this.hello)
      }
      this.lastId += 1
      if (fromStart) this.unheard = []
      writeMessage(this.socket, { id: this.lastId, subscribe: true, fromStart })
      await this.subscribed.promise
    } finally {
      clearTimeout(timer)
    }
  }

  get tails(): Snapshot['tails'] {
    return this.snapshot?.tails ?? {}
  }

  getState(): StackState {
    if (this.current === null) throw new Error('not subscribed yet')
    return this.current
  }

  subscribe(listener: ClientListener): () => void {
    this.listeners.add(listener)
    const unheard = this.unheard ?? []
    this.unheard = null
    for (const event of unheard) this.tell(event)
    return () => this.listeners.delete(listener)
  }

  async send(intent: Intent): Promise<void> {
    await this.ask({ intent })
  }

  async usage(): Promise<readonly InstanceUsage[]> {
    const answer = await this.ask({ usage: true })
    return 'usage' in answer ? answer.usage : []
  }

  close(): void {
    this.socket.end()
  }

  private tell(event: Event): void {
    if (this.current === null) return
    this.current = reduce(this.current, event)
    for (const listener of this.listeners) listener(event, this.current)
  }

  private async ask(question: object): Promise<ServerMessage> {
    this.lastId += 1
    const id = this.lastId
    return new Promise((resolve, reject) => {
      this.waiters.set(id, { resolve, reject })
      writeMessage(this.socket, { id, ...question })
    })
  }

  private receive(message: ServerMessage): void {
    if ('hello' in message) {
      this.hello = message.hello
      this.greeted.resolve()
    } else if ('snapshot' in message) {
      this.snapshot = message.snapshot
      this.current = message.snapshot.state
      if (this.unheard !== null) this.unheard = []
      this.subscribed.resolve()
      for (const listener of this.listeners) listener(null, this.current)
    } else if ('event' in message) {
      if (this.current === null) return
      if (this.unheard === null) this.tell(message.event)
      else this.unheard.push(message.event)
    } else if (!('accepted' in message)) {
      const waiter = this.waiters.get(message.id)
      this.waiters.delete(message.id)
      if ('error' in message) waiter?.reject(DevstackError.fromInfo(message.error))
      else waiter?.resolve(message)
    }
  }
}

function otherProtocol(hello: Hello): DevstackError {
  return new DevstackError(
    'UNSUPPORTED',
    `the running session (pid ${String(hello.pid)}) is of devstack ${hello.version}, which speaks another protocol`,
    { hint: `kill ${String(hello.pid)} ends it and leaves the containers running; then devstack up` },
  )
}
