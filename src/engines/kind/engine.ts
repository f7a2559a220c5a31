import type { ObservedState } from '../../core/project.js'
import type { Engine, EngineEvent, LogRecord, LogRequest } from '../../orchestrator/ports.js'
import { createDocker } from '../compose/docker.js'
import { createComposeEngine } from '../compose/engine.js'
import { createImageKit } from '../compose/image-kit.js'
import { indexImages } from '../compose/image-index.js'
import { readManifest } from '../compose/manifest.js'
import { createAddresses } from './addresses.js'
import type { Addresses } from './addresses.js'
import { compareApplied, keyOf, readApplied } from './applied.js'
import { apply } from './apply.js'
import { createConnection } from './connection.js'
import type { Connected } from './connection.js'
import { readEvents } from './events.js'
import { createGates } from './gates.js'
import { nodeSupply } from './images/supply.js'
import { toInstances } from './instances.js'
import type { WantedImages } from './instances.js'
import { lastLines } from './logs/last-lines.js'
import { readLogs } from './logs/logs.js'
import type { KindContext, KindEngineOptions } from './options.js'
import { createPodWork } from './pod-work.js'
import type { PodWork } from './pod-work.js'
import { resolve } from './resolve.js'
import type { KindResolved } from './resolve.js'
import { registrySupply } from './registry/supply.js'
import { readUsage } from './usage.js'

export type { KindEngineOptions } from './options.js'

const LAST_LINES = 20

/** The engine that runs a stack in a cluster, of kind's or of the team's. Opens and starts nothing by itself. */
export function createKindEngine(options: KindEngineOptions): Engine {
  return new KindEngine(options)
}

class KindEngine implements Engine {
  readonly kind: Engine['kind']
  readonly away: Engine['away']
  readonly startsByItself = true
  private readonly context: KindContext
  private readonly work: PodWork
  private readonly addresses: Addresses
  private resolved: KindResolved | null = null

  constructor(private readonly options: KindEngineOptions) {
    const { compose, namespace, cluster, registry } = options
    this.kind = options.kind
    const hint =
      this.kind === 'kind'
        ? 'docker ps shows whether its nodes run'
        : 'see whether this machine reaches its server'
    this.away = { name: 'cluster', hint }
    const docker = createDocker(compose.endpoint)
    this.addresses = createAddresses(
      () => this.context,
      () => this.resolved,
    )
    this.context = {
      options,
      docker,
      images: createImageKit(compose, docker),
      supply: registry === null ? nodeSupply(docker) : registrySupply(docker, registry),
      builder: createComposeEngine(compose),
      gates: createGates(Date.now),
      connection: createConnection({ cluster, project: compose.projectName, namespace }),
      holds: (port) => this.addresses.holds(port),
    }
    this.work = createPodWork(this.context, () => this.resolved)
    this.deliver = this.work.deliver
    this.open = this.work.open
    this.run = this.work.run
    this.exec = this.work.exec
    this.publish = (emit, signal) => this.addresses.publish(emit, signal)
  }

  readonly deliver: Engine['deliver']
  readonly open: Engine['open']
  readonly run: Engine['run']
  readonly exec: Engine['exec']
  readonly publish: NonNullable<Engine['publish']>

  resolve: Engine['resolve'] = async (request, emit, signal) => {
    this.resolved = await resolve(this.context, request, emit, signal)
    this.addresses.changed()
    return this.resolved.resolution
  }

  observe: Engine['observe'] = async (signal): Promise<ObservedState> => {
    signal.throwIfAborted()
    const connected = await this.context.connection.find(signal)
    if (connected === null) return { instances: [] }
    const [pods, wanted, drifted] = await Promise.all([
      connected.feed.list(signal),
      this.wantedImages(signal),
      this.hasDrifted(connected, signal),
    ])
    const instances = toInstances(pods, this.context.gates, wanted)
    // Something beside the pods differs from the manifests: applying them is what `create` does.
    return { instances: drifted ? instances.map((one) => ({ ...one, configHash: '' })) : instances }
  }

  apply: Engine['apply'] = async (operation, run) =>
    await apply(this.context, this.resolved, operation, run, (instance, signal) =>
      this.work.openGate(instance, signal),
    )

  manifest: Engine['manifest'] = async (instance, signal) =>
    await readManifest(this.context.docker, this.resolved?.resolution.project ?? null, instance, signal)

  events: Engine['events'] = (signal) => this.eventsOf(signal)

  logs: Engine['logs'] = (request, signal) => this.logsOf(request, signal)

  usage: Engine['usage'] = async (instances, signal) => {
    const connected = await this.context.connection.find(signal)
    if (connected === null) return instances.map((instance) => ({ instance, cpu: null, memoryBytes: null }))
    return await readUsage(connected.kube, connected.feed, instances, signal)
  }

  private async *eventsOf(signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const connected = await this.context.connection.find(signal)
    if (connected === null) {
      // Nothing can happen where there is no cluster.
      yield { type: 'connected' }
      return
    }
    const { kube, feed } = connected
    yield* readEvents(
      {
        feed,
        gates: this.context.gates,
        lastLines: (pod, container, previous) =>
          lastLines(kube, pod, container, previous, LAST_LINES, signal),
        seen: (pod) => this.work.seen(pod),
        gone: (pod) => this.work.gone(pod),
      },
      signal,
    )
  }

  private async *logsOf(request: LogRequest, signal: AbortSignal): AsyncGenerator<LogRecord> {
    const connected = await this.context.connection.find(signal)
    if (connected !== null) yield* readLogs(connected.kube, connected.feed, request, signal)
  }

  private async wantedImages(signal: AbortSignal): Promise<WantedImages> {
    const services = this.resolved?.resolution.project.services ?? {}
    const present = indexImages(await this.context.images.engine.images(signal))
    return Object.fromEntries(
      Object.values(services).flatMap(({ name, image }) => {
        const id = present.find(image)?.id
        return id === undefined ? [] : [[name, id] as const]
      }),
    )
  }

  private async hasDrifted({ kube }: Connected, signal: AbortSignal): Promise<boolean> {
    const { resolved } = this
    if (resolved === null) return false
    const { desired } = resolved.wanted
    const applied = await readApplied(kube, this.options.compose.projectName, desired, signal)
    const { changed, left } = compareApplied(desired, applied)
    // A service that was not asked for has no workload there, and lacks nothing.
    const differ = changed.filter(({ object, workload }) => workload === null || applied.has(keyOf(object)))
    return differ.length + left.length > 0
  }
}
