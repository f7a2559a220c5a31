import { PassThrough } from 'node:stream'
import type { Duplex, Readable } from 'node:stream'
import { DevstackError } from '../../../src/core/error.js'
import { createChannel } from '../../../src/engines/compose/channel.js'
import type { Channel } from '../../../src/engines/compose/channel.js'
import type { Kube, KubeList, ListQuery, WatchEvent } from '../../../src/engines/kind/kube-ports.js'
import { KUBE_ANNOTATION } from '../../../src/engines/kind/pods.js'
import type { ContainerState, ContainerStatus, Pod } from '../../../src/engines/kind/pods.js'

type LogOptions = Parameters<Kube['logs']>[0]

/** The pods of a namespace, their logs and their ports, as far as a test scripts them. */
export class FakePods implements Kube {
  readonly namespace = 'shop'
  readonly pods = new Map<string, Pod>()
  /** What was asked, in order: `list`, `watch 7`, `logs api-1/api since=...`. */
  readonly asked: string[] = []
  away = false
  /** Watches from before this version are refused with 410. */
  oldest = 0
  version = 1
  readonly logFiles = new Map<string, FakeLog>()
  dial: (pod: string, port: number, signal: AbortSignal) => Promise<Duplex> = () => {
    throw new Error('not scripted')
  }
  private readonly events: { readonly version: number; readonly event: WatchEvent<Pod> }[] = []
  private readonly watches = new Set<Channel<WatchEvent<Pod>>>()

  /** Adds a pod, or changes it. */
  put(pod: Pod): void {
    const type = this.pods.has(pod.metadata.name) ? 'MODIFIED' : 'ADDED'
    const stamped = this.stamp(pod)
    this.pods.set(pod.metadata.name, stamped)
    this.tell({ type, object: stamped })
  }

  remove(name: string): void {
    const pod = this.pods.get(name)
    if (pod === undefined) return
    this.pods.delete(name)
    this.tell({ type: 'DELETED', object: this.stamp(pod) })
  }

  bookmark(): void {
    for (const watch of this.watches)
      watch.push({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(this.version) } } as Pod })
  }

  /** The server ends its watches, as it does after some minutes. */
  endWatches(): void {
    for (const watch of this.watches) watch.close()
  }

  breakWatches(error: Error = new DevstackError('ENGINE_GONE', 'the connection broke')): void {
    for (const watch of this.watches) watch.fail(error)
  }

  /** Nothing comes through any more, and no word of it. */
  muteWatches(): void {
    this.watches.clear()
  }

  get watching(): number {
    return this.watches.size
  }

  log(pod: string, container: string): FakeLog {
    const key = `${pod}/${container}`
    const log = this.logFiles.get(key) ?? new FakeLog()
    this.logFiles.set(key, log)
    return log
  }

  list<T>(path: string, query: ListQuery, signal: AbortSignal): Promise<KubeList<T>> {
    signal.throwIfAborted()
    this.asked.push(`list ${path} ${query.labelSelector ?? ''}`)
    if (this.away) return Promise.reject(new DevstackError('ENGINE_GONE', 'the cluster does not answer'))
    return Promise.resolve({ items: [...this.pods.values()] as T[], resourceVersion: String(this.version) })
  }

  async *watch<T>(
    _path: string,
    query: ListQuery & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    this.asked.push(`watch ${query.resourceVersion}`)
    if (this.away) throw new DevstackError('ENGINE_GONE', 'the cluster does not answer')
    const from = Number(query.resourceVersion)
    if (from < this.oldest)
      throw new DevstackError('OPERATION_FAILED', 'too old resource version', { cause: '410 Gone' })
    const watch = createChannel<WatchEvent<Pod>>(() => this.watches.delete(watch))
    for (const { version, event } of this.events) if (version > from) watch.push(event)
    this.watches.add(watch)
    signal.addEventListener('abort', () => watch.fail(signal.reason), { once: true })
    yield* watch as unknown as AsyncIterable<WatchEvent<T>>
  }

  logs(options: LogOptions, signal: AbortSignal): Promise<Readable> {
    const { pod, container, previous, sinceTime } = options
    this.asked.push(`logs ${pod}/${container}${previous ? ' previous' : ''} since=${sinceTime ?? ''}`)
    if (this.away) return Promise.reject(new DevstackError('ENGINE_GONE', 'the cluster does not answer'))
    const status = statusOf(this.pods.get(pod), container)
    const log = this.logFiles.get(`${pod}/${container}`)
    const run = status === undefined ? null : runGiven(status, previous)
    if (log === undefined || run === null)
      return Promise.reject(new DevstackError('OPERATION_FAILED', 'there is no such log'))
    return Promise.resolve(log.read(run, options, signal))
  }

  forward(pod: string, port: number, signal: AbortSignal): Promise<Duplex> {
    this.asked.push(`forward ${pod}:${String(port)}`)
    return this.dial(pod, port, signal)
  }

  path = (): never => unscripted()
  get = (): never => unscripted()
  apply = (): never => unscripted()
  patch = (): never => unscripted()
  create = (): never => unscripted()
  delete = (): never => unscripted()
  exec = (): never => unscripted()

  private stamp(pod: Pod): Pod {
    this.version++
    return { ...pod, metadata: { ...pod.metadata, resourceVersion: String(this.version) } }
  }

  private tell(event: WatchEvent<Pod>): void {
    this.events.push({ version: this.version, event })
    for (const watch of this.watches) watch.push(event)
  }
}

interface FakeLine {
  readonly at: string
  readonly text: string
}

/** The files of a container's runs, read as the kubelet reads them. */
export class FakeLog {
  private readonly runs: FakeLine[][] = []
  private readonly open = new Set<{ readonly run: number; readonly stream: PassThrough }>()

  /** Text without an own newline gets one; `bare` leaves it out, as of a program that ends within a line. */
  print(run: number, at: string, text: string, bare = false): void {
    const line = { at, text: bare ? text : `${text}\n` }
    ;(this.runs[run] ??= []).push(line)
    for (const reader of this.open) if (reader.run === run) reader.stream.write(`${at} ${line.text}`)
  }

  /** Into the file, while nothing reaches who follows it. */
  printUnheard(run: number, at: string, text: string): void {
    ;(this.runs[run] ??= []).push({ at, text: `${text}\n` })
  }

  /** The file begins anew; who follows goes on. */
  rotate(run: number): void {
    this.runs[run] = []
  }

  /** As with a container that ended. */
  end(): void {
    for (const { stream } of this.open) stream.end()
    this.open.clear()
  }

  cut(): void {
    for (const { stream } of this.open)
      stream.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
    this.open.clear()
  }

  get readers(): number {
    return this.open.size
  }

  read(run: number, options: LogOptions, signal: AbortSignal): Readable {
    const stream = new PassThrough()
    const since = options.sinceTime?.slice(0, 19) ?? ''
    const lines = (this.runs[run] ?? []).filter(({ at }) => at.slice(0, 19) >= since)
    for (const { at, text } of options.tailLines === null ? lines : lines.slice(-options.tailLines))
      stream.write(`${at} ${text}`)
    if (!options.follow) return stream.end()
    const reader = { run, stream }
    this.open.add(reader)
    signal.addEventListener('abort', () => this.open.delete(reader), { once: true })
    return stream
  }
}

/** What the kubelet takes for the log, and for the one before. */
function runGiven({ state, lastState, restartCount }: ContainerStatus, previous: boolean): number | null {
  const runs = state?.running !== undefined || state?.terminated !== undefined
  const before = lastState?.terminated !== undefined
  if (previous) return before ? restartCount - (runs ? 1 : 0) : null
  return runs || before ? restartCount : null
}

function statusOf(pod: Pod | undefined, container: string): ContainerStatus | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod?.status ?? {}
  return [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === container)
}

function unscripted(): never {
  throw new Error('the logs, the forwards and the feed do not ask for this')
}

export interface PodText {
  readonly name: string
  readonly uid?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly ready?: boolean
  /** By container. */
  readonly containers: Readonly<
    Record<string, Partial<ContainerStatus> & { readonly service?: string | null }>
  >
  readonly init?: Readonly<Record<string, Partial<ContainerStatus>>>
}

export function pod({
  name,
  uid = `uid-${name}`,
  labels = {},
  ready = true,
  containers,
  init = {},
}: PodText): Pod {
  const notes = Object.entries(containers)
    .filter(([, { service }]) => service !== null)
    .map(([container, { service }]) => [container, { service: service ?? container }])
  const annotations = { [KUBE_ANNOTATION.containers]: JSON.stringify(Object.fromEntries(notes)) }
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid, labels, annotations },
    spec: { containers: Object.keys(containers).map((container) => ({ name: container, image: 'x' })) },
    status: {
      phase: 'Running',
      conditions,
      containerStatuses: Object.entries(containers).map(([container, given]) => status(container, given)),
      initContainerStatuses: Object.entries(init).map(([container, given]) => status(container, given)),
    },
  }
}

function status(name: string, given: Partial<ContainerStatus>): ContainerStatus {
  return { name, ready: true, restartCount: 0, image: 'x', imageID: 'x', state: running, ...given }
}

export const running: ContainerState = { running: {} }
export const terminated: ContainerState = { terminated: { exitCode: 1 } }
export const waiting: ContainerState = { waiting: { reason: 'CrashLoopBackOff' } }
