import type { KubeObject } from './kube-ports.js'

/** A pod, as far as devstack reads it. */
export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string
    readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never'
    readonly containers: readonly PodContainer[]
    readonly initContainers?: readonly PodContainer[]
    readonly ephemeralContainers?: readonly (PodContainer & { readonly targetContainerName?: string })[]
  }
  readonly status?: {
    readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
    readonly reason?: string
    readonly message?: string
    readonly conditions?: readonly {
      readonly type: string
      readonly status: string
      readonly reason?: string
      readonly message?: string
    }[]
    readonly containerStatuses?: readonly ContainerStatus[]
    readonly initContainerStatuses?: readonly ContainerStatus[]
    readonly ephemeralContainerStatuses?: readonly ContainerStatus[]
  }
  /** Not of the pod itself: what the cluster complains of about it, where somebody asked. */
  readonly warnings?: readonly PodWarning[]
}

/** What the cluster complains of, about a pod. */
export interface PodWarning {
  /** Null: about the whole pod. */
  readonly container: string | null
  /** `Unhealthy`, `FailedMount`, ... */
  readonly reason: string
  /** In one line. */
  readonly message: string
  /** How often it has come by now. */
  readonly count: number
}

export interface PodContainer {
  readonly name: string
  readonly image: string
  readonly readinessProbe?: object
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> }
}

export interface ContainerStatus {
  readonly name: string
  readonly ready: boolean
  readonly restartCount: number
  readonly image: string
  readonly imageID: string
  readonly containerID?: string
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly running?: { readonly startedAt?: string }
  readonly terminated?: {
    readonly exitCode: number
    readonly reason?: string
    readonly message?: string
    readonly startedAt?: string
    readonly finishedAt?: string
    readonly containerID?: string
  }
}

/** Labels and annotations that devstack writes: only what carries {@link KUBE_LABEL.project} is ever changed or deleted. */
export const KUBE_LABEL = {
  managedBy: 'app.kubernetes.io/managed-by',
  project: 'devstack.dev/project',
  /** On pods and their templates. */
  workload: 'devstack.dev/workload',
} as const

export const KUBE_ANNOTATION = {
  /** On a namespace in a cluster that is not ours: who made it, of this user and worktree alone. */
  owner: 'devstack.dev/owner',
  /** Of the worktree: its absolute path. */
  worktree: 'devstack.dev/worktree',
  /** On pod templates: JSON, container name -> {@link ContainerNote}. */
  containers: 'devstack.dev/containers',
  /** On pods, with `.CONTAINER` after it: its restart count and when its gate was opened, RFC 3339. */
  opened: 'devstack.dev/opened',
  /** In manifests, on a workload or its pod template: JSON, as Compose's `depends_on`: service -> condition. */
  dependsOn: 'devstack.dev/depends-on',
  /** In manifests, on a Service: the port of 127.0.0.1 that leads to it. */
  localPort: 'devstack.dev/local-port',
} as const

/** What devstack must know of a container of a running pod without its project. */
export interface ContainerNote {
  readonly service: string
  /** Of its workload's template, as {@link Service.configHash}. */
  readonly configHash: string
  /** Id of the local image that it was made from. */
  readonly imageId: string
  /** Build.hash that its image carries, or null. */
  readonly buildHash: string | null
  /** Its program waits at the gate until its files are level. */
  readonly gated: boolean
}

/** An instance of a service in a pod: another one after each restart of its container, whose files are the image's again. */
export interface PodInstanceRef {
  readonly uid: string
  readonly container: string
  readonly restartCount: number
}

/** Fit for a file's name: a container's name has no dot. */
export function instanceId({ uid, container, restartCount }: PodInstanceRef): string {
  return `${uid}.${container}.${String(restartCount)}`
}

/** Null where it is none of ours. */
export function parseInstanceId(id: string): PodInstanceRef | null {
  const [uid, container, count, ...rest] = id.split('.')
  if (uid === undefined || container === undefined || count === undefined || rest.length > 0) return null
  const restartCount = Number(count)
  return Number.isInteger(restartCount) ? { uid, container, restartCount } : null
}

/** Of a container, or of a sidecar, which is an init container that goes on. */
export function statusOf({ status }: Pod, container: string | undefined): ContainerStatus | undefined {
  const all = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])]
  return all.find(({ name }) => name === container)
}

/** The annotation that tells of a container's gate; its name part has at most 63 characters. */
export function openedKey(container: string): string {
  return `${KUBE_ANNOTATION.opened}.${container.slice(0, 50)}`
}

/** When the gate of this run of a container was opened, RFC 3339; null: nobody noted that it was. */
export function openedAt(pod: Pod, container: string, restartCount: number): string | null {
  const [count, at] = pod.metadata.annotations?.[openedKey(container)]?.split(' ') ?? []
  return count === String(restartCount) ? (at ?? null) : null
}

/** Our notes on a pod's containers, by container; none where it is not ours or its annotation is broken. */
export function containerNotes(pod: Pod): Readonly<Record<string, ContainerNote>> {
  return parseNotes(pod.metadata.annotations?.[KUBE_ANNOTATION.containers]) as Readonly<
    Record<string, ContainerNote>
  >
}

function parseNotes(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
