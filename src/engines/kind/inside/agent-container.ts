import type { Kube } from '../kube-ports.js'
import type { ContainerState, ContainerStatus, Pod } from '../pods.js'
import { AGENT_FOLDER } from './program.js'
import type { AgentProgram } from './program.js'
import { NoAgent, NotThere, refusal } from './target.js'
import type { InsideTarget } from './target.js'

/** What an agent container begins with: it is no service of the stack. */
const AGENT_PREFIX = 'devstack-agent-'

export interface AgentImage {
  /** A Debian, or anything else with perl-base and coreutils. */
  readonly reference: string
  readonly pullPolicy: 'Never' | 'IfNotPresent'
}

/** They stay in the pod's description for good: a container that restarts again and again must not fill it. */
const MOST_AGENTS = 40

/** What is read of a pod here, besides. */
interface PodMounts {
  readonly shareProcessNamespace?: boolean
  readonly hostPID?: boolean
  readonly volumes?: readonly { readonly name: string; readonly hostPath?: unknown }[]
  readonly containers: readonly {
    readonly name: string
    readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
  }[]
}

export interface AgentContainer {
  readonly name: string
  /** What the agent has to be told of its container. */
  readonly options: readonly string[]
  /** Where folders of the node's machine are mounted in the container. */
  readonly binds: readonly string[]
}

function podPath(kube: Kube, pod: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(kube.namespace)}/pods/${encodeURIComponent(pod)}`
}

/** The pod, if the container runs in it, or with `early` has not run yet. @throws NotThere */
export async function readPod(
  kube: Kube,
  target: InsideTarget,
  signal: AbortSignal,
  early = false,
): Promise<Pod> {
  const pod = await kube.get<Pod>(podPath(kube, target.pod), signal)
  if (pod === null || pod.metadata.uid !== target.uid) throw new NotThere('its pod is gone')
  const status = statusOf(pod, target.container)
  if ((status?.restartCount ?? 0) > target.restartCount) throw new NotThere('it was restarted')
  if (status?.state?.running !== undefined || (early && isNew(pod, target.container))) return pod
  throw new NotThere(describeState(status?.state))
}

/** It has not run in this pod. */
export function isNew(pod: Pod, container: string): boolean {
  const { state, lastState, restartCount = 0 } = statusOf(pod, container) ?? {}
  const begun = state?.running ?? state?.terminated ?? lastState?.terminated
  return begun === undefined && restartCount === 0 && pod.metadata.deletionTimestamp === undefined
}

/**
 * The container beside the target in which an agent can be started: one that is there, of this session or an earlier one,
 * else a new one, which may take a moment to run.
 * @throws NoAgent where the cluster refuses it, NotThere
 */
export async function ensureAgentContainer(
  kube: Kube,
  image: AgentImage,
  program: AgentProgram,
  target: InsideTarget,
  signal: AbortSignal,
  early = false,
): Promise<AgentContainer> {
  for (;;) {
    const pod = await readPod(kube, target, signal, early)
    const found = usableAgent(pod, target)
    if (found !== null) return describeAgent(pod, target, found)
    const name = nextName(pod)
    const refusal = await addAgent(kube, image, program, target, name, signal)
    if (refusal === null) return describeAgent(pod, target, name)
    // Another session may have taken the name at the same moment.
    const now = await readPod(kube, target, signal, early)
    if (!agentsOf(now).some((agent) => agent.name === name)) throw new NoAgent(refusal)
  }
}

export interface AgentTrouble {
  readonly cause: string
  /** Another agent would not fare better. */
  readonly lasting: boolean
}

/** Why an agent container that was asked for does not come to run; null while it may. */
export function agentTrouble(pod: Pod, name: string): AgentTrouble | null {
  const { state } = pod.status?.ephemeralContainerStatuses?.find((status) => status.name === name) ?? {}
  const { reason = '', message = '' } = state?.waiting ?? {}
  const cause = [reason, message].filter((part) => part !== '').join(': ')
  if (NO_IMAGE.has(reason)) return { cause, lasting: true }
  if (NO_START.has(reason)) return { cause, lasting: false }
  return state?.terminated === undefined ? null : { cause: describeState(state), lasting: false }
}

/** Reasons of the kubelet that do not pass by themselves. */
const NO_IMAGE: ReadonlySet<string> = new Set([
  'ErrImageNeverPull',
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
])
const NO_START: ReadonlySet<string> = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'StartError',
])

function agentsOf(pod: Pod) {
  return (pod.spec.ephemeralContainers ?? []).filter(({ name }) => name.startsWith(AGENT_PREFIX))
}

/** The newest that runs or is about to: an earlier one of this container ended with its earlier run. */
function usableAgent(pod: Pod, { container }: InsideTarget): string | null {
  const own = agentsOf(pod).filter(({ targetContainerName }) => targetContainerName === container)
  const usable = own.filter(({ name }) => agentTrouble(pod, name) === null)
  return usable.toSorted((a, b) => numberOf(b.name) - numberOf(a.name))[0]?.name ?? null
}

function numberOf(name: string): number {
  return Number(name.slice(AGENT_PREFIX.length)) || 0
}

function nextName(pod: Pod): string {
  const agents = agentsOf(pod)
  if (agents.length >= MOST_AGENTS)
    throw new NoAgent(`its pod has had ${String(agents.length)} agents: a new pod is needed`)
  return `${AGENT_PREFIX}${String(Math.max(0, ...agents.map(({ name }) => numberOf(name))) + 1)}`
}

async function addAgent(
  kube: Kube,
  image: AgentImage,
  program: AgentProgram,
  target: InsideTarget,
  name: string,
  signal: AbortSignal,
): Promise<string | null> {
  const container = {
    name,
    image: image.reference,
    imagePullPolicy: image.pullPolicy,
    command: ['perl', '-e', program.stay, AGENT_FOLDER],
    targetContainerName: target.container,
    securityContext: {
      // To see the files of another user's process, and to write as that user.
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      readOnlyRootFilesystem: false,
      capabilities: { add: ['SYS_PTRACE', 'SYS_CHROOT'] },
    },
  }
  try {
    const path = `${podPath(kube, target.pod)}/ephemeralcontainers`
    await kube.patch(path, 'strategic', { spec: { ephemeralContainers: [container] } }, signal)
    return null
  } catch (error) {
    signal.throwIfAborted()
    return refusal(error, 'OPERATION_FAILED')
  }
}

function describeAgent(pod: Pod, { container }: InsideTarget, name: string): AgentContainer {
  const id = statusOf(pod, container)?.containerID?.replace(/^.*:\/\//, '') ?? ''
  const spec: PodMounts = pod.spec
  // There the first process is the pod's own, or the node's, and its files are not the container's.
  const shared = spec.shareProcessNamespace === true || spec.hostPID === true
  return {
    name,
    options: [shared ? `--id=${id}` : `--kept=${AGENT_FOLDER}`],
    binds: bindsOf(spec, container),
  }
}

function bindsOf({ volumes = [], containers }: PodMounts, container: string): readonly string[] {
  const outside = new Set(volumes.filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name))
  const mounts = containers.find(({ name }) => name === container)?.volumeMounts ?? []
  return mounts
    .filter(({ name }) => outside.has(name))
    .map(({ mountPath }) => (mountPath === '/' ? '/' : mountPath.replace(/\/+$/, '')))
}

function statusOf(pod: Pod, container: string): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === container)
}

function describeState(state: ContainerState | undefined): string {
  const { waiting, terminated } = state ?? {}
  if (terminated !== undefined)
    return `it ended with ${String(terminated.exitCode)}${terminated.reason === undefined ? '' : ` (${terminated.reason})`}`
  return waiting?.reason === undefined ? 'it has not been started yet' : `it waits: ${waiting.reason}`
}
