import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import { createChannel } from '../compose/channel.js'
import type { Channel } from '../compose/channel.js'
import type { Kube } from './kube-ports.js'
import type { PodWarnings } from './pod-warnings.js'
import type { Pod } from './pods.js'
import type { Wakes } from './wake.js'

/** What happens to the pods of a stack. */
export type PodNews =
  /** All that there are. The first value where the server answers, and again whenever something may have been missed. */
  | { readonly type: 'connected'; readonly pods: readonly Pod[] }
  | { readonly type: 'changed'; readonly pod: Pod }
  /** As it was last seen. */
  | { readonly type: 'removed'; readonly pod: Pod }
  /** The API server does not answer any more. */
  | { readonly type: 'lost'; readonly cause: string }

/** The pods of one stack, for all who follow them: one list and one watch, however many ask. */
export interface PodFeed {
  /** As they are now, from the server. */
  list(signal: AbortSignal): Promise<readonly Pod[]>
  /**
   * Until aborted. `connected` comes first, or `lost` while the server is away; no change after `connected` is missed. What a new
   * list shows as changed or removed is told one by one before its `connected`.
   */
  changes(signal: AbortSignal): AsyncIterable<PodNews>
  /** Somebody waits for the cluster in vain: a watch that has gone silent would notice minutes later. */
  doubt(): void
}

export interface PodFeedOptions {
  readonly labelSelector: string
  readonly wakes: Wakes
  /** A pod that has another warning counts as changed. */
  readonly warnings?: PodWarnings
  /** A watch is taken for dead after so long without a word; the server sends a bookmark every minute. */
  readonly silentMs?: number
}

const SILENT_MS = 150_000
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2000
/** A server that ends its watches at once is not asked again at once. */
const SHORT_LIFE_MS = 1000
const LIST_MS = 15_000

export function createPodFeed(kube: Kube, options: PodFeedOptions): PodFeed {
  return new WatchedPods(kube, options)
}

/*
 *             listed               ended, with a version to go on from
 *   listing ──────────▶ watching ─────────────────────────────────────▶ watching
 *      ▲                    │ broken, 410, silent, machine woke
 *      ├────────────────────┘
 *      └── not answered: `lost` is told, and again after a pause
 */
class WatchedPods implements PodFeed {
  private readonly path: string
  private readonly followers = new Set<Channel<PodNews>>()
  private pods = new Map<string, Pod>()
  private state: 'new' | 'connected' | { readonly lost: string } = 'new'
  private running: AbortController | null = null
  private warned = new AbortController()
  /** Breaks off what is under way, so that it begins again. */
  private revalidate: () => void = () => undefined

  constructor(
    private readonly kube: Kube,
    private readonly options: PodFeedOptions,
  ) {
    this.path = `/api/v1/namespaces/${kube.namespace}/pods`
  }

  async list(signal: AbortSignal): Promise<readonly Pod[]> {
    return (await this.kube.list<Pod>(this.path, this.query, signal)).items
  }

  changes(signal: AbortSignal): AsyncIterable<PodNews> {
    const channel = createChannel<PodNews>(() => this.leave(channel))
    if (signal.aborted) channel.close()
    else {
      signal.addEventListener('abort', () => this.leave(channel), { once: true })
      this.join(channel)
    }
    return channel
  }

  doubt(): void {
    this.revalidate()
  }

  private get query() {
    return { labelSelector: this.options.labelSelector }
  }

  private join(channel: Channel<PodNews>): void {
    this.followers.add(channel)
    if (this.state === 'connected') channel.push({ type: 'connected', pods: [...this.pods.values()] })
    else if (this.state !== 'new') channel.push({ type: 'lost', cause: this.state.lost })
    if (this.running !== null) return
    const running = new AbortController()
    this.running = running
    const ended = this.options.wakes.onWake(() => this.revalidate())
    running.signal.addEventListener('abort', ended, { once: true })
    this.run(running.signal).catch((error: unknown) => this.fault(error))
  }

  /** A fault of the program: it is not to be mistaken for a server that is away. */
  private fault(error: unknown): void {
    const followers = [...this.followers]
    for (const follower of followers) follower.fail(error)
    for (const follower of followers) this.leave(follower)
  }

  private leave(channel: Channel<PodNews>): void {
    channel.close()
    this.followers.delete(channel)
    if (this.followers.size > 0 || this.running === null) return
    this.running.abort()
    this.running = null
    this.warned.abort()
    this.state = 'new'
    this.pods = new Map()
  }

  private tell(news: PodNews): void {
    for (const follower of this.followers) follower.push(news)
  }

  private async run(stop: AbortSignal): Promise<void> {
    let version: string | null = null
    let wait = FIRST_WAIT_MS
    while (!stop.aborted) {
      const round = new AbortController()
      this.revalidate = () => round.abort()
      const signal = AbortSignal.any([stop, round.signal])
      const began = performance.now()
      try {
        version ??= await this.relist(signal)
        version = await this.follow(version, signal, round)
        if (performance.now() - began > SHORT_LIFE_MS) wait = FIRST_WAIT_MS
      } catch (error) {
        version = null
        if (stop.aborted) return
        if (round.signal.aborted) continue
        this.failed(error)
      }
      await sleep(wait, undefined, { signal }).catch(() => undefined)
      wait = Math.min(wait * 2, LONGEST_WAIT_MS)
    }
  }

  /** A watch that broke says nothing yet: the list that follows tells whether the server is there. */
  private failed(error: unknown): void {
    if (!(error instanceof DevstackError) && (error as NodeJS.ErrnoException).code === undefined) throw error
    if (this.state === 'connected' && !(error instanceof ListFailed)) return
    if (typeof this.state === 'object') return
    const { message } = error as Error
    this.state = { lost: message }
    this.tell({ type: 'lost', cause: message })
  }

  private async relist(signal: AbortSignal): Promise<string> {
    const list = await this.listInTime(signal)
    signal.throwIfAborted()
    const before = this.pods
    const pods = list.items.map((pod) => this.withWarnings(pod))
    this.pods = new Map(pods.map((pod) => [keyOf(pod), pod]))
    for (const [key, pod] of before) if (!this.pods.has(key)) this.tell({ type: 'removed', pod })
    for (const [key, pod] of this.pods) {
      const known = before.get(key)
      if (this.state !== 'new' && known?.metadata.resourceVersion !== pod.metadata.resourceVersion)
        this.tell({ type: 'changed', pod })
    }
    this.state = 'connected'
    this.tell({ type: 'connected', pods })
    this.followWarnings()
    return list.resourceVersion
  }

  /** Anew with each list: what made that necessary may have broken this watch without a word, too. */
  private followWarnings(): void {
    const { warnings } = this.options
    if (warnings === undefined) return
    this.warned.abort()
    this.warned = new AbortController()
    const tell = (key: string): void => {
      const pod = this.pods.get(key)
      if (pod !== undefined) this.take('MODIFIED', pod)
    }
    warnings.follow(tell, this.warned.signal).catch((error: unknown) => this.fault(error))
  }

  private withWarnings(pod: Pod): Pod {
    const warnings = this.options.warnings?.of(keyOf(pod)) ?? []
    return warnings.length === 0 ? pod : { ...pod, warnings }
  }

  private async listInTime(signal: AbortSignal) {
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), LIST_MS)
    try {
      return await this.kube.list<Pod>(this.path, this.query, AbortSignal.any([signal, deadline.signal]))
    } catch (error) {
      signal.throwIfAborted()
      if (deadline.signal.aborted)
        throw new ListFailed('ENGINE_GONE', `the cluster has not answered for ${String(LIST_MS / 1000)} s`)
      if (error instanceof DevstackError)
        throw new ListFailed(error.code, error.message, { cause: error.why })
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves with the version to go on from when the server ends the stream. */
  private async follow(from: string, signal: AbortSignal, round: AbortController): Promise<string> {
    let version = from
    const watchdog = setTimeout(() => round.abort(), this.options.silentMs ?? SILENT_MS)
    watchdog.unref()
    try {
      const query = { ...this.query, resourceVersion: from }
      for await (const event of this.kube.watch<Pod>(this.path, query, signal)) {
        signal.throwIfAborted()
        watchdog.refresh()
        version = event.object.metadata.resourceVersion ?? version
        this.take(event.type, event.object)
      }
      signal.throwIfAborted()
      return version
    } finally {
      clearTimeout(watchdog)
    }
  }

  private take(type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', pod: Pod): void {
    if (type === 'BOOKMARK') return
    if (type === 'DELETED') {
      this.pods.delete(keyOf(pod))
      this.options.warnings?.forget(keyOf(pod))
      this.tell({ type: 'removed', pod })
      return
    }
    const now = this.withWarnings(pod)
    this.pods.set(keyOf(pod), now)
    this.tell({ type: 'changed', pod: now })
  }
}

/** The server did not answer a list: then it is away. */
class ListFailed extends DevstackError {}

/** A StatefulSet's pods have the name of those before them. */
function keyOf({ metadata }: Pod): string {
  return metadata.uid ?? metadata.name
}
