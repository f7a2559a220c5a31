import type { Kube } from '../kube-ports.js'
import type { PodFeed } from '../pod-feed.js'
import type { Wakes } from '../wake.js'
import { CONNECTION_LIMITS } from './connection.js'
import type { ConnectionLimits } from './connection.js'
import { createDialler } from './dial.js'
import type { LightState } from './light.js'
import { Listener } from './listener.js'
import type { ForwardTarget, ListenerContext } from './listener.js'
import { createPodTable } from './pod-table.js'

export type { ForwardTarget } from './listener.js'

/** An address of this machine, and whether requests go through it. */
export interface ForwardState extends LightState {
  readonly service: string
  /** The container's port, as {@link PublishedPort.target}. */
  readonly target: number
  readonly hostIp: string
  readonly port: number
}

/** The addresses of a stack: listeners on this machine that lead to its pods, for as long as this process lives. */
export interface Forwards {
  /**
   * Listens at exactly these addresses from now on. What is there already stays as it is, with its connections.
   * @throws DevstackError PORT_TAKEN where somebody else listens there; the others are there all the same
   */
  set(targets: readonly ForwardTarget[]): Promise<void>
  states(): readonly ForwardState[]
  /** This process listens there. */
  holds(port: number): boolean
  /** Connections that are carried now. */
  readonly load: number
  close(): Promise<void>
}

export interface ForwardsOptions {
  readonly kube: Kube
  readonly feed: PodFeed
  readonly wakes: Wakes
  /** Called when an address begins or ceases to let requests through. */
  readonly changed: (state: ForwardState) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Who listens on a port of this machine; null where that is not known. */
  readonly portOwner: (port: number) => Promise<string | null>
  readonly limits?: Partial<ConnectionLimits> | undefined
}

/** Asks nobody for anything while there is no address. */
export function createForwards(options: ForwardsOptions): Forwards {
  return new PortForwards(options)
}

class PortForwards implements Forwards {
  private readonly listeners = new Map<string, Listener>()
  private readonly context: ListenerContext
  private following: AbortController | null = null
  /** One change of the addresses after the other. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: ForwardsOptions) {
    this.context = {
      table: createPodTable(),
      dialler: createDialler(options.kube),
      limits: { ...CONNECTION_LIMITS, ...options.limits },
      now: options.now,
      portOwner: options.portOwner,
      changed: (listener) => options.changed(stateOf(listener)),
    }
  }

  set(targets: readonly ForwardTarget[]): Promise<void> {
    const setting = this.last.then(() => this.change(targets))
    this.last = setting.catch(() => undefined)
    return setting
  }

  states(): readonly ForwardState[] {
    return [...this.listeners.values()].map(stateOf)
  }

  holds(port: number): boolean {
    return [...this.listeners.values()].some((listener) => listener.port === port)
  }

  get load(): number {
    return [...this.listeners.values()].reduce((sum, { load }) => sum + load, 0)
  }

  close(): Promise<void> {
    return this.set([])
  }

  private async change(targets: readonly ForwardTarget[]): Promise<void> {
    const wanted = new Map(targets.map((target) => [keyOf(target), target]))
    const gone = [...this.listeners].filter(([key]) => !wanted.has(key))
    for (const [key] of gone) this.listeners.delete(key)
    await Promise.all(gone.map(([, listener]) => listener.close()))
    if (wanted.size > 0) this.follow()
    else this.unfollow()
    const opening = [...wanted].map(async ([key, target]) => {
      const there = this.listeners.get(key)
      if (there !== undefined) return there.redirect(target)
      const listener = new Listener(target, this.context)
      await listener.open()
      this.listeners.set(key, listener)
    })
    const failed = (await Promise.allSettled(opening)).find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
  }

  private follow(): void {
    if (this.following !== null) return
    const following = new AbortController()
    this.following = following
    const end = this.options.wakes.onWake(() => this.revalidate())
    following.signal.addEventListener('abort', end, { once: true })
    void this.read(following.signal)
  }

  private unfollow(): void {
    this.following?.abort()
    this.following = null
    this.context.table.take({ type: 'connected', pods: [] })
  }

  private async read(signal: AbortSignal): Promise<void> {
    let lost = false
    try {
      for await (const news of this.options.feed.changes(signal)) {
        this.context.table.take(news)
        if (news.type === 'lost') for (const { light } of this.listeners.values()) light.failed(news.cause)
        if (news.type === 'connected' && lost) this.revalidate()
        lost = news.type === 'lost'
      }
    } catch (error) {
      for (const { light } of this.listeners.values()) light.failed((error as Error).message)
    }
  }

  private revalidate(): void {
    for (const { light } of this.listeners.values()) light.revalidate()
  }
}

function keyOf({ service, port }: ForwardTarget): string {
  return `${service}/${String(port.target)}/${port.hostIp}:${String(port.published)}`
}

function stateOf(listener: Listener): ForwardState {
  const { service, port } = listener.target
  return { service, target: port.target, hostIp: port.hostIp, port: listener.port, ...listener.light.state() }
}
