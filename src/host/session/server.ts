import { chmod, mkdir, unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { DevstackError } from '../../core/error.js'
import { initialState } from '../../core/state.js'
import type { Session } from '../../orchestrator/session.js'
import type { InstanceUsage } from '../../orchestrator/ports.js'
import { connects } from './client.js'
import { readMessages, writeMessage } from './lines.js'
import { PROTOCOL, type ClientMessage, type ServerMessage } from './protocol.js'

/** What a client may leave unread before it is cut back to a fresh snapshot. */
const BACKLOG_LIMIT = 4 * 1024 * 1024
/** How long a session that was asked for nothing waits for a client. */
const UNUSED_MS = 5000

export interface ServeOptions {
  readonly version: string
  /** {@link Hello.build} */
  readonly build: string
  /** {@link Hello.lasting} */
  readonly lasting: boolean
  readonly usage: () => Promise<readonly InstanceUsage[]>
}

/** Clients that came between `listen` and `serve`, by server. */
const early = new WeakMap<Server, Socket[]>()

function keepEarly(this: Server, socket: Socket): void {
  // Who goes away again, as a mere look does, is no error.
  socket.on('error', () => socket.destroy())
  early.set(this, [...(early.get(this) ?? []), socket])
}

/**
 * Takes the socket, 0600, before the session exists: whoever listens owns the stack.
 * @throws DevstackError LOCKED where another process listens on it.
 */
export async function listen(path: string): Promise<Server> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { default: lockfile } = await import('proper-lockfile')
  // Held for the few milliseconds in which a dead session's socket is told from a living one's.
  const release = await lockfile.lock(folder, {
    lockfilePath: `${path}.lock`,
    stale: 5000,
    retries: { retries: 100, minTimeout: 20, maxTimeout: 100 },
  })
  try {
    if (await connects(path))
      throw new DevstackError('LOCKED', 'another devstack session runs for this stack')
    await unlink(path).catch(() => undefined)
    const server = createServer(keepEarly)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    await chmod(path, 0o600)
    return server
  } finally {
    await release()
  }
}

/** Serves a session on a listening socket until it has ended and every client has been told. */
export async function serve(server: Server, session: Session, options: ServeOptions): Promise<void> {
  const clients = new Set<Client>()
  const greet = (socket: Socket): void => {
    const client = new Client(socket, session, options)
    clients.add(client)
    socket.once('close', () => {
      client.close()
      clients.delete(client)
      setTimeout(() => void endUnused(), UNUSED_MS).unref()
    })
  }
  // Its command was killed before it could ask for anything: nobody would ever end it.
  const endUnused = async (): Promise<void> => {
    if (!options.lasting || clients.size > 0 || session.used) return
    await session.end('nobody asked for anything')
  }
  server.removeListener('connection', keepEarly)
  server.on('connection', greet)
  for (const socket of early.get(server) ?? []) if (!socket.destroyed) greet(socket)
  early.delete(server)
  await session.ended
  server.close()
  await Promise.all([...clients].map((client) => client.finish()))
}

class Client {
  private unsubscribe: () => void = () => undefined
  private lagging = false
  private readonly open = new Set<Promise<void>>()

  constructor(
    private readonly socket: Socket,
    private readonly session: Session,
    private readonly options: ServeOptions,
  ) {
    socket.on('error', () => socket.destroy())
    readMessages(socket, (message) => this.receive(message as ClientMessage))
    const { version, build, lasting } = options
    this.send({ hello: { protocol: PROTOCOL, version, build, pid: process.pid, lasting } })
  }

  close(): void {
    this.unsubscribe()
  }

  /** Lets answers that are under way out, then ends the connection; a client that does not read is not waited for. */
  async finish(): Promise<void> {
    await Promise.allSettled(this.open)
    this.unsubscribe()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.socket.destroy()
        resolve()
      }, 500)
      this.socket.end(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  private send(message: ServerMessage): void {
    writeMessage(this.socket, message)
  }

  private receive(message: ClientMessage): void {
    if (typeof message !== 'object' || message === null || typeof message.id !== 'number') {
      this.socket.destroy()
    } else if ('subscribe' in message) {
      this.subscribe(message.fromStart === true)
    } else if ('usage' in message) {
      this.track(this.answerUsage(message.id))
    } else if ('intent' in message) {
      this.send({ id: message.id, accepted: true })
      this.track(this.carryOut(message))
    }
  }

  private track(work: Promise<void>): void {
    this.open.add(work)
    void work.finally(() => this.open.delete(work))
  }

  private async answerUsage(id: number): Promise<void> {
    try {
      this.send({ id, usage: await this.options.usage() })
    } catch (error) {
      this.answerError(id, error)
    }
  }

  private async carryOut({ id, intent }: Extract<ClientMessage, { intent: unknown }>): Promise<void> {
    try {
      await this.session.handle(intent)
      this.send({ id, done: true })
    } catch (error) {
      this.answerError(id, error)
    }
  }

  private answerError(id: number, error: unknown): void {
    if (!(error instanceof DevstackError)) throw error
    this.send({ id, error: error.toInfo() })
  }

  private subscribe(fromStart: boolean): void {
    this.unsubscribe()
    const beginning = fromStart ? this.session.store.beginning() : null
    if (beginning === null) {
      this.sendSnapshot()
    } else {
      this.send({ snapshot: { seq: 0, state: initialState, tails: {} } })
      for (const event of beginning) this.send({ event })
    }
    this.unsubscribe = this.session.store.subscribe((event) => {
      if (this.lagging) return
      this.send({ event })
      if (this.socket.writableLength > BACKLOG_LIMIT) this.waitForReader()
    })
  }

  private waitForReader(): void {
    this.lagging = true
    this.socket.once('drain', () => {
      this.lagging = false
      this.sendSnapshot()
    })
  }

  private sendSnapshot(): void {
    const state = this.session.store.getState()
    this.send({ snapshot: { seq: state.seq, state, tails: this.session.tails() } })
  }
}
