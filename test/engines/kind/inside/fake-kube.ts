import { DevstackError } from '../../../../src/core/error.js'
import type { ExecOptions, Kube, KubeProcess } from '../../../../src/engines/kind/kube-ports.js'
import type { ContainerState, Pod, PodContainer } from '../../../../src/engines/kind/pods.js'

/** What the fake cluster's containers run on. */
export interface FakeNode {
  /** Starts a container beside another one of the pod. */
  addAgent(container: AddedContainer): Promise<void>
  exec(options: ExecOptions): Promise<KubeProcess>
}

export interface AddedContainer extends PodContainer {
  readonly imagePullPolicy: string
  readonly command: readonly string[]
  readonly targetContainerName: string
  readonly securityContext: Readonly<Record<string, unknown>>
}

export const RUNNING: ContainerState = { running: { startedAt: '2025-01-01T00:00:00Z' } }
const NAMESPACE = 'shop'
const PATH = `/api/v1/namespaces/${NAMESPACE}/pods/api-1`

/** A cluster of one pod: `api-1`, of a service `api`. */
export class FakeKube implements Pick<Kube, 'namespace' | 'get' | 'patch' | 'exec'> {
  readonly namespace = NAMESPACE
  /** What was asked to be added beside its containers. */
  readonly added: AddedContainer[] = []
  readonly execs: ExecOptions[] = []
  /** Called before a container is added: may refuse it, or let somebody else be first. */
  beforeAdding: (container: AddedContainer) => void = () => undefined
  /** How a container that was added begins. */
  newState: (name: string) => ContainerState = () => RUNNING
  #pod: Pod

  constructor(
    readonly node: FakeNode,
    containers: readonly string[] = ['api'],
    spec: Readonly<Record<string, unknown>> = {},
  ) {
    this.#pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'api-1', namespace: NAMESPACE, uid: 'uid-1' },
      spec: { containers: containers.map((name) => ({ name, image: 'shop-api' })), ...spec },
      status: {
        phase: 'Running',
        containerStatuses: containers.map((name) => ({
          name,
          ready: true,
          restartCount: 0,
          image: 'shop-api',
          imageID: 'sha256:1',
          containerID: `containerd://${'0'.repeat(64)}`,
          state: RUNNING,
        })),
      },
    }
  }

  /** For what asks for all of a cluster: the rest is not called. */
  get kube(): Kube {
    return this as unknown as Kube
  }

  get pod(): Pod {
    return this.#pod
  }

  set pod(pod: Pod) {
    this.#pod = pod
  }

  restart(container: string): void {
    const { status } = this.#pod
    const containerStatuses = status?.containerStatuses?.map((one) =>
      one.name === container ? { ...one, restartCount: one.restartCount + 1 } : one,
    )
    this.#pod = { ...this.#pod, status: { ...status, ...(containerStatuses && { containerStatuses }) } }
    for (const { name, targetContainerName } of this.added)
      if (targetContainerName === container)
        this.setAgent(name, { terminated: { exitCode: 137, reason: 'Error' } })
  }

  setAgent(name: string, state: ContainerState): void {
    const { status } = this.#pod
    const others = (status?.ephemeralContainerStatuses ?? []).filter((one) => one.name !== name)
    const own = { name, ready: false, restartCount: 0, image: '', imageID: '', state }
    this.#pod = { ...this.#pod, status: { ...status, ephemeralContainerStatuses: [...others, own] } }
  }

  async get<T>(path: string): Promise<T | null> {
    return await Promise.resolve(path === PATH ? (this.#pod as T) : null)
  }

  async patch<T>(path: string, type: string, body: unknown): Promise<T> {
    if (path !== `${PATH}/ephemeralcontainers` || type !== 'strategic')
      throw new Error(`unexpected: ${type} ${path}`)
    const [container] = (body as { spec: { ephemeralContainers: readonly [AddedContainer] } }).spec
      .ephemeralContainers
    this.beforeAdding(container)
    const { ephemeralContainers = [] } = this.#pod.spec
    if (ephemeralContainers.some(({ name }) => name === container.name))
      throw new DevstackError('OPERATION_FAILED', 'the cluster refused it', { cause: 'may not be changed' })
    this.added.push(container)
    this.addElsewhere(container)
    await this.node.addAgent(container)
    this.setAgent(container.name, this.newState(container.name))
    return this.#pod as T
  }

  /** As another session would. */
  addElsewhere(container: PodContainer & { readonly targetContainerName: string }): void {
    const { spec } = this.#pod
    // The newest first, as a cluster merges them.
    const ephemeralContainers = [container, ...(spec.ephemeralContainers ?? [])]
    this.#pod = { ...this.#pod, spec: { ...spec, ephemeralContainers } }
  }

  async exec(options: ExecOptions): Promise<KubeProcess> {
    this.execs.push(options)
    return await this.node.exec(options)
  }
}
