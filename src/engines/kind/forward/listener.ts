import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { once } from 'node:events'
import { DevstackError } from '../../../core/error.js'
import type { PublishedPort } from '../../../core/project.js'
import { Connection } from './connection.js'
import type { ConnectionHost, ConnectionLimits } from './connection.js'
import type { Dialler } from './dial.js'
import { createLight } from './light.js'
import type { Light } from './light.js'
import type { Place, PodTable, Route } from './pod-table.js'
import { probe } from './probe.js'

/** One address of this machine, and where it leads. */
export interface ForwardTarget {
  readonly service: string
  /** `published` is settled. */
  readonly port: PublishedPort
  readonly route: Route
}

/** What all listeners share. */
export interface ListenerContext {
  readonly table: PodTable
  readonly dialler: Dialler
  readonly limits: ConnectionLimits
  readonly now: () => number
  readonly portOwner: (port: number) => Promise<string | null>
  /** The light of this one changed. */
  readonly changed: (listener: Listener) => void
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** Listens at one address and carries each connection to a pod. */
export class Listener {
  readonly light: Light
  private readonly server: Server
  private readonly connections = new Set<Connection>()
  private readonly unsubscribe: () => void
  private turn = 0
  private ready: string

  constructor(
    public target: ForwardTarget,
    private readonly context: ListenerContext,
  ) {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket))
    this.light = createLight({
      ready: () => this.places().length > 0,
      probe: (signal) => this.probe(signal),
      changed: () => context.changed(this),
      now: context.now,
    })
    this.ready = ''
    this.unsubscribe = context.table.onChange(() => this.look())
  }

  get port(): number {
    return this.target.port.published ?? 0
  }

  /** How many connections are there. */
  get load(): number {
    return this.connections.size
  }

  /** @throws DevstackError PORT_TAKEN */
  async open(): Promise<void> {
    const { hostIp, protocol } = this.target.port
    if (protocol !== 'tcp') {
      throw new DevstackError('UNSUPPORTED', `${this.target.service} publishes a UDP port`, {
        cause: 'a cluster forwards TCP only',
        hint: 'leave the annotation devstack.dev/local-port out of that Service',
      })
    }
    // Nobody else in the network is meant to reach a developer's stack.
    const host = LOOPBACK.has(hostIp) ? hostIp : '127.0.0.1'
    try {
      const listening = once(this.server, 'listening')
      this.server.listen({ port: this.port, host, exclusive: true })
      await listening
    } catch (error) {
      this.unsubscribe()
      this.light.close()
      throw await this.explain(error as NodeJS.ErrnoException)
    }
    this.look()
  }

  /** Where it leads from now on; connections that are there stay. */
  redirect(target: ForwardTarget): void {
    this.target = target
    this.look()
  }

  async close(): Promise<void> {
    this.unsubscribe()
    this.light.close()
    const closed = this.server.listening ? once(this.server, 'close') : Promise.resolve()
    this.server.close()
    const open = [...this.connections]
    for (const connection of open) connection.close()
    await Promise.all([closed, ...open.map((connection) => connection.closed)])
  }

  private places(): readonly Place[] {
    return this.context.table.places(this.target.route)
  }

  private look(): void {
    const ready = this.places()
      .map(({ uid, port }) => `${uid}:${String(port)}`)
      .join(' ')
    if (ready === this.ready) return
    this.ready = ready
    this.light.podsChanged()
  }

  private async probe(signal: AbortSignal): Promise<string | null> {
    const place = this.next()
    if (place === null) return 'no pod is ready'
    return probe(this.context.dialler, place, this.context.table.podOf(place), signal)
  }

  private next(): Place | null {
    const places = this.places()
    return places[this.turn++ % places.length] ?? null
  }

  private accept(socket: Socket): void {
    const { table, dialler, limits } = this.context
    const host: ConnectionHost = {
      dialler,
      limits,
      next: () => this.next(),
      untilChange: (signal) => untilChange(table, signal),
      onRemoved: ({ uid }, tell) => table.onRemoved(uid, tell),
      answered: () => this.light.proved(),
      silent: () => this.light.doubted(),
      failed: (cause) => this.light.failed(cause),
      broke: () => this.light.broke(),
    }
    const connection = new Connection(socket, host)
    this.connections.add(connection)
    void connection.closed.then(() => this.connections.delete(connection))
  }

  private async explain(error: NodeJS.ErrnoException): Promise<Error> {
    const port = String(this.port)
    if (error.code === 'EADDRINUSE') {
      const owner = (await this.context.portOwner(this.port)) ?? 'another program'
      return new DevstackError('PORT_TAKEN', `port ${port} is taken by ${owner}`, {
        cause: `the service ${this.target.service} is reached there`,
        hint: 'devstack up takes the next free one',
      })
    }
    if (error.code === 'EACCES') {
      return new DevstackError('PORT_TAKEN', `port ${port} may not be used by this user`, {
        cause: 'ports below 1024 need rights of the system',
        hint: 'give its Service another one: the annotation devstack.dev/local-port',
      })
    }
    return error
  }
}

function untilChange(table: PodTable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stop()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const stop = table.onChange(end)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
