import { DevstackError } from '../../core/error.js'
import type { Instance } from '../../core/project.js'
import type { Engine } from '../../orchestrator/ports.js'
import type { Connected } from './connection.js'
import { createInside } from './inside/inside.js'
import type { Inside } from './inside/inside.js'
import { notRunning } from './inside/target.js'
import type { InsideTarget } from './inside/target.js'
import { toInstances } from './instances.js'
import type { KindContext } from './options.js'
import { containerNotes, openedKey, parseInstanceId, statusOf } from './pods.js'
import type { Pod } from './pods.js'
import type { KindResolved } from './resolve.js'

/** What is done inside of pods, by instance. */
export interface PodWork extends Pick<Engine, 'deliver' | 'open' | 'run' | 'exec'> {
  /** Lets an instance's program begin, and notes that it has. */
  openGate(instance: Instance, signal: AbortSignal): Promise<void>
  /** A pod was seen: what will be worked in is made ready early. */
  seen(pod: Pod): void
  /** It is not there any more: nothing of it is kept. */
  gone(pod: Pod): void
}

const ANNOUNCE_MS = 5000
const DOUBT_MS = 5000
/** What has an agent where the project was not read: any Debian. */
const ANY_DEBIAN = 'debian:trixie-slim'

export function createPodWork(context: KindContext, resolved: () => KindResolved | null): PodWork {
  return new Work(context, resolved)
}

class Work implements PodWork {
  private inside: { readonly image: string; readonly connected: Connected; readonly value: Inside } | null =
    null
  /** uid -> name; a pod has the same for life. */
  private readonly names = new Map<string, string>()

  constructor(
    private readonly context: KindContext,
    private readonly resolved: () => KindResolved | null,
  ) {}

  seen(pod: Pod): void {
    const { uid, name } = pod.metadata
    if (uid !== undefined) this.names.set(uid, name)
    const gated = Object.entries(containerNotes(pod)).flatMap(([container, note]) =>
      note.gated ? [container] : [],
    )
    // What fails here fails again, and is told, where it is needed.
    if (gated.length > 0 && this.resolved() !== null) this.announce(pod, gated).catch(() => undefined)
  }

  gone(pod: Pod): void {
    const { uid = '', name } = pod.metadata
    this.names.delete(uid)
    for (const [container, { service }] of Object.entries(containerNotes(pod))) {
      const restartCount = statusOf(pod, container)?.restartCount ?? 0
      this.inside?.value.forget({ uid, container, restartCount, service, pod: name })
    }
  }

  private async announce(pod: Pod, containers: readonly string[]): Promise<void> {
    const inside = await this.open_(AbortSignal.timeout(ANNOUNCE_MS))
    inside.announce(pod, containers)
  }

  deliver: PodWork['deliver'] = async (instance, changes, signal) => {
    const target = await this.find(instance, signal)
    if (target === null)
      throw new DevstackError('DELIVERY_FAILED', `${instance.service} cannot be delivered to`, {
        cause: 'its pod is gone',
        hint: `devstack up ${instance.service}`,
      })
    const rules = this.resolved()?.resolution.project.services[instance.service]?.watch ?? []
    const inside = await this.open_(signal)
    return await this.doubting(inside.deliver(target, changes, rules, signal))
  }

  /** A delivery takes milliseconds: where one does not end, the cluster may have gone without a word. */
  private async doubting<T>(work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.inside?.connected.feed.doubt(), DOUBT_MS)
    try {
      return await work
    } finally {
      clearTimeout(timer)
    }
  }

  open: PodWork['open'] = async (instance, request, signal) =>
    await (await this.open_(signal)).open(await this.target(instance, signal), request, signal)

  run: PodWork['run'] = async (instance, request, output, signal) =>
    await (await this.open_(signal)).run(await this.target(instance, signal), request, output, signal)

  exec: PodWork['exec'] = async (request, signal) => {
    const { feed } = await this.context.connection.get(signal)
    const instances = toInstances(await feed.list(signal), this.context.gates, {})
    const own = instances.filter(({ service }) => service === request.service)
    const running = own.find(({ state }) => state === 'running')
    if (running === undefined)
      throw new DevstackError('SERVICE_FAILED', `${request.service} is not running`, {
        cause: own.length === 0 ? 'it has no pod' : `its container is ${own[0]?.state ?? 'gone'}`,
        hint: `devstack up ${request.service}`,
      })
    const { stdin, stdout, stderr } = process
    const inside = await this.open_(signal)
    return await inside.exec(await this.target(running, signal), request, { stdin, stdout, stderr }, signal)
  }

  async openGate(instance: Instance, signal: AbortSignal): Promise<void> {
    const target = await this.target(instance, signal)
    const gate = await (await this.open_(signal)).openGate(target, signal)
    if (gate === 'shut')
      throw new DevstackError('OPERATION_FAILED', `the program of ${instance.service} did not begin`, {
        cause: 'its gate was opened, and it still waits',
        hint: `devstack logs ${instance.service}`,
      })
    const { gates, connection } = this.context
    gates.opened(instance.id)
    // Other processes know it from this; one that does not hear of it takes the program for begun a while later.
    const { kube } = await connection.get(signal)
    const path = `/api/v1/namespaces/${kube.namespace}/pods/${target.pod}`
    const at = gates.openedAt(instance.id) ?? ''
    const annotations = {
      [openedKey(target.container)]: `${String(target.restartCount)} ${at}`,
    }
    await kube.patch(path, 'merge', { metadata: { uid: target.uid, annotations } }, signal)
  }

  private async target(instance: Instance, signal: AbortSignal): Promise<InsideTarget> {
    const target = await this.find(instance, signal)
    if (target !== null) return target
    const about = { service: instance.service, pod: instance.name, uid: '', container: '', restartCount: 0 }
    throw notRunning(about, 'its pod is gone')
  }

  /** Null where its pod is gone. */
  private async find(instance: Instance, signal: AbortSignal): Promise<InsideTarget | null> {
    const ref = parseInstanceId(instance.id)
    if (ref === null) return null
    if (!this.names.has(ref.uid)) {
      const { feed } = await this.context.connection.get(signal)
      for (const { metadata } of await feed.list(signal)) this.names.set(metadata.uid ?? '', metadata.name)
    }
    const pod = this.names.get(ref.uid)
    return pod === undefined ? null : { ...ref, service: instance.service, pod }
  }

  /** For the agent image of the project as it was read last. */
  private async open_(signal: AbortSignal): Promise<Inside> {
    const connected = await this.context.connection.get(signal)
    const image = await this.agentImage(connected, signal)
    const { inside } = this
    if (inside !== null && inside.image === image && inside.connected === connected) return inside.value
    inside?.value.close()
    const value = createInside({
      kube: connected.kube,
      image: {
        reference: image,
        pullPolicy: image === ANY_DEBIAN ? 'IfNotPresent' : this.context.supply.pullPolicy,
      },
      agentFolder: this.context.options.agentFolder,
    })
    this.inside = { image, connected, value }
    return value
  }

  private async agentImage({ feed }: Connected, signal: AbortSignal): Promise<string> {
    const known = this.resolved()
    if (known !== null) {
      const { agent } = known.stack.local
      return known.wanted.images.find(({ local }) => local === agent)?.node ?? agent
    }
    const pods = await feed.list(signal)
    const agents = pods.flatMap(({ spec }) => spec.ephemeralContainers ?? [])
    return agents.find(({ name }) => name.startsWith('devstack-agent-'))?.image ?? ANY_DEBIAN
  }
}
