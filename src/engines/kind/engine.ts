import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import type { Instance, ObservedState, WatchRule } from '../../core/project.js'
import type { Engine, EngineEvent, LogRecord } from '../../orchestrator/ports.js'
import { createDocker } from '../compose/docker.js'
import { createComposeEngine } from '../compose/engine.js'
import { createImageKit } from '../compose/image-kit.js'
import { indexImages } from '../compose/image-index.js'
import { readManifest } from '../compose/manifest.js'
import { compareApplied, keyOf, readApplied } from './applied.js'
import { apply } from './apply.js'
import { createConnection } from './connection.js'
import type { Connected } from './connection.js'
import { readEvents } from './events.js'
import { execInTarget } from './exec.js'
import { createForwards } from './forward/forwards.js'
import type { Forwards } from './forward/forwards.js'
import { createGates } from './gates.js'
import { createInside } from './inside/inside.js'
import type { Inside } from './inside/inside.js'
import { notRunning } from './inside/target.js'
import type { InsideTarget } from './inside/target.js'
import { toInstances } from './instances.js'
import type { WantedImages } from './instances.js'
import { lastLines } from './logs/last-lines.js'
import { readLogs } from './logs/logs.js'
import type { KindContext, KindEngineOptions } from './options.js'
import { KUBE_ANNOTATION, parseInstanceId } from './pods.js'
import { resolve } from './resolve.js'
import type { KindResolved } from './resolve.js'
import { readUsage } from './usage.js'

export type { KindEngineOptions } from './options.js'

const LAST_LINES = 20

/** The engine that runs a stack in a kind cluster. Opens and starts nothing by itself. */
export function createKindEngine(options: KindEngineOptions): Engine {
  return new KindEngine(options)
}

class KindEngine implements Engine {
  readonly kind = 'kind'
  readonly startsByItself = true
  private readonly context: KindContext
  private resolved: KindResolved | null = null
  private inside: { readonly image: string; readonly connected: Connected; readonly value: Inside } | null =
    null
  private forwards: Forwards | null = null
  private setForwards: () => void = () => undefined

  constructor(private readonly options: KindEngineOptions) {
    const { compose, namespace, cluster } = options
    const docker = createDocker(compose.endpoint)
    this.context = {
      options,
      docker,
      images: createImageKit(compose, docker),
      builder: createComposeEngine(compose),
      gates: createGates(Date.now),
      connection: createConnection({ cluster, project: compose.projectName, namespace }),
      holds: (port) => this.forwards?.holds(port) === true,
    }
  }

  resolve: Engine['resolve'] = async (request, emit, signal) => {
    this.resolved = await resolve(this.context, request, emit, signal)
    this.setForwards()
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
      this.open_(instance, signal),
    )

  deliver: Engine['deliver'] = async (instance, changes, signal) => {
    const target = await this.targetOf(instance, signal)
    return await (
      await this.insideOf(signal)
    ).deliver(target, changes, this.rulesOf(instance.service), signal)
  }

  open: Engine['open'] = async (instance, request, signal) =>
    await (await this.insideOf(signal)).open(await this.targetOf(instance, signal), request, signal)

  run: Engine['run'] = async (instance, request, output, signal) =>
    await (await this.insideOf(signal)).run(await this.targetOf(instance, signal), request, output, signal)

  manifest: Engine['manifest'] = async (instance, signal) =>
    await readManifest(this.context.docker, this.resolved?.resolution.project ?? null, instance, signal)

  exec: Engine['exec'] = async (request, signal) => {
    const { kube } = await this.context.connection.get(signal)
    const { instances } = await this.observe(signal)
    const own = instances.filter(({ service }) => service === request.service)
    const running = own.find(({ state }) => state === 'running')
    if (running === undefined)
      throw new DevstackError('SERVICE_FAILED', `${request.service} is not running`, {
        cause: own.length === 0 ? 'it has no pod' : `its container is ${own[0]?.state ?? 'gone'}`,
        hint: `devstack up ${request.service}`,
      })
    return await execInTarget(kube, await this.targetOf(running, signal), request, signal)
  }

  events: Engine['events'] = (signal) => this.eventsOf(signal)

  logs: Engine['logs'] = (request, signal) => this.logsOf(request, signal)

  usage: Engine['usage'] = async (instances, signal) => {
    const connected = await this.context.connection.find(signal)
    if (connected === null) return instances.map((instance) => ({ instance, cpu: null, memoryBytes: null }))
    return await readUsage(connected.kube, connected.feed, instances, signal)
  }

  publish: NonNullable<Engine['publish']> = async (emit, signal) => {
    const { kube, feed } = await this.waitForCluster(signal)
    const { connection, options } = this.context
    const told = new Map<string, string | null>()
    const forwards = createForwards({
      kube,
      feed,
      wakes: connection.wakes,
      now: Date.now,
      portOwner: options.compose.portOwner,
      changed: ({ service, target, ok, cause }) => {
        const failure = ok === false ? (cause ?? 'nothing gets through') : null
        const key = `${service}/${String(target)}`
        if ((told.get(key) ?? null) === failure) return
        told.set(key, failure)
        emit({ type: 'addressChecked', service, target, failure })
      },
    })
    this.forwards = forwards
    const failed = Promise.withResolvers<never>()
    this.setForwards = () => void forwards.set(this.targets()).catch(failed.reject)
    this.setForwards()
    const ended = new Promise<void>((resolve_) =>
      signal.addEventListener('abort', () => resolve_(), { once: true }),
    )
    try {
      await Promise.race([failed.promise, ...(signal.aborted ? [] : [ended])])
    } finally {
      this.setForwards = () => undefined
      this.forwards = null
      await forwards.close()
    }
  }

  private targets() {
    const { resolved } = this
    if (resolved === null) return []
    const { services } = resolved.resolution.project
    return resolved.addresses.flatMap(({ selector, service, port }) => {
      const settled = services[service]?.ports.find(
        ({ target, protocol }) => target === port.target && protocol === port.protocol,
      )
      return settled === undefined
        ? []
        : [{ service, port: settled, route: { selector, targetPort: port.target } }]
    })
  }

  private async waitForCluster(signal: AbortSignal): Promise<Connected> {
    for (;;) {
      const connected = await this.context.connection.find(signal)
      if (connected !== null) return connected
      await sleep(1000, undefined, { signal })
    }
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
      feed,
      this.context.gates,
      (pod, container, previous) => lastLines(kube, pod, container, previous, LAST_LINES, signal),
      signal,
    )
  }

  private async *logsOf(
    request: Parameters<Engine['logs']>[0],
    signal: AbortSignal,
  ): AsyncGenerator<LogRecord> {
    const connected = await this.context.connection.find(signal)
    if (connected !== null) yield* readLogs(connected.kube, connected.feed, request, signal)
  }

  private rulesOf(service: string): readonly WatchRule[] {
    return this.resolved?.resolution.project.services[service]?.watch ?? []
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

  private async open_(instance: Instance, signal: AbortSignal): Promise<void> {
    const target = await this.targetOf(instance, signal)
    await (await this.insideOf(signal)).openGate(target, signal)
    this.context.gates.opened(instance.id)
    await this.noteOpened(target, this.context.gates.openedAt(instance.id) ?? '', signal)
  }

  /** So that other processes know that its program has begun; one that does not hear of it takes it for so a while later. */
  private async noteOpened(target: InsideTarget, at: string, signal: AbortSignal): Promise<void> {
    const { kube } = await this.context.connection.get(signal)
    const path = `/api/v1/namespaces/${kube.namespace}/pods/${target.pod}`
    const pod = await kube.get(path, signal)
    if (pod?.metadata.uid !== target.uid) return
    const before = pod.metadata.annotations?.[KUBE_ANNOTATION.opened]
    const known = before === undefined ? {} : (JSON.parse(before) as Readonly<Record<string, string>>)
    const opened = { ...known, [`${target.container}/${String(target.restartCount)}`]: at }
    const annotations = { [KUBE_ANNOTATION.opened]: JSON.stringify(opened) }
    await kube.patch(path, 'merge', { metadata: { annotations } }, signal)
  }

  private async targetOf(instance: Instance, signal: AbortSignal): Promise<InsideTarget> {
    const ref = parseInstanceId(instance.id)
    const { feed } = await this.context.connection.get(signal)
    const pods = ref === null ? [] : await feed.list(signal)
    const pod = pods.find(({ metadata }) => metadata.uid === ref?.uid)
    const about = { service: instance.service, pod: pod?.metadata.name ?? instance.name }
    if (ref !== null && pod !== undefined) return { ...ref, ...about }
    throw notRunning({ uid: '', container: '', restartCount: 0, ...about }, 'its pod is gone')
  }

  /** For the agent image of the project as it was read last. */
  private async insideOf(signal: AbortSignal): Promise<Inside> {
    const connected = await this.context.connection.get(signal)
    const { resolved, inside } = this
    if (resolved === null) throw new Error('the project was not resolved before files were delivered')
    const { agent } = resolved.stack.local
    const image = resolved.wanted.images.find(({ local }) => local === agent)?.node ?? agent
    if (inside !== null && inside.image === image && inside.connected === connected) return inside.value
    inside?.value.close()
    const value = createInside({
      kube: connected.kube,
      image: { reference: image, pullPolicy: image === agent ? 'IfNotPresent' : 'Never' },
      agentFolder: this.options.agentFolder,
    })
    this.inside = { image, connected, value }
    return value
  }
}
