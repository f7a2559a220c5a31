import type { ContainerStatus, Pod } from './pods.js'

/** Why a pod does not come to start. */
export interface Waiting {
  readonly cause: string
  /** It will not, unless something is changed. */
  readonly final: boolean
  /** How long it may last before it is taken for final, in milliseconds; null: for ever. */
  readonly patienceMs: number | null
  readonly hint: string | null
}

/** The scheduler may be asked a moment too early: a pod that is ending still has its memory. */
const SCHEDULING_MS = 5000
/** As often as this the kubelet has started it again by then: after 0, 10, 20 and 40 s. */
const CRASHES = 4

/** Reasons of the kubelet that do not pass by themselves. */
const FINAL: Readonly<Record<string, (container: string, image: string, message: string) => string>> = {
  ErrImageNeverPull: (_, image) => `the image ${image} is not on the node`,
  ImagePullBackOff: (_, image) => `the image ${image} is not on the node, and it could not be pulled`,
  ErrImagePull: (_, image, message) => `the image ${image} could not be pulled: ${message}`,
  InvalidImageName: (_, image) => `${image} is no image name`,
  CreateContainerConfigError: (container, _, message) => `${container} cannot be created: ${message}`,
  CreateContainerError: (container, _, message) => `${container} cannot be created: ${message}`,
  RunContainerError: (container, _, message) => `${container} cannot be run: ${message}`,
}

/** What is sent into nodes is never pulled. */
const NO_PULL =
  'see whether the nodes reach its registry and may read it: imagePullSecrets in the manifests log them in'

const HINTS: Readonly<Record<string, string>> = {
  ErrImageNeverPull: 'devstack up sends it again',
  ImagePullBackOff: NO_PULL,
  ErrImagePull: NO_PULL,
  CreateContainerConfigError: 'see that the ConfigMap or Secret that it names is there',
}

/**
 * What the cluster marks a node with that is not well. It takes the mark away by itself, minutes later, so that waiting for it
 * is right.
 */
const TAINTS: readonly { readonly taint: string; readonly cause: string; readonly hint: string }[] = [
  {
    taint: 'node.kubernetes.io/disk-pressure',
    cause: 'the disk of the node is nearly full (disk pressure)',
    hint: 'free some room: docker system df shows what takes it; the node notices within 5 minutes',
  },
  {
    taint: 'node.kubernetes.io/memory-pressure',
    cause: 'the memory of the node is nearly used up (memory pressure)',
    hint: 'stop something: devstack ls shows which stacks run',
  },
  {
    taint: 'node.kubernetes.io/pid-pressure',
    cause: 'the node has nearly no process numbers left (PID pressure)',
    hint: 'stop something: devstack ls shows which stacks run',
  },
  ...['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((taint) => ({
    taint,
    cause: 'the node is not ready',
    hint: 'it needs a minute after a restart; docker ps shows whether its container runs',
  })),
]

/** What the pod says itself; null where it starts, or runs. */
export function waitingOf(pod: Pod): Waiting | null {
  const { status } = pod
  if (status === undefined) return null
  const unscheduled = status.conditions?.find(
    ({ type, status: value }) => type === 'PodScheduled' && value === 'False',
  )
  if (unscheduled !== undefined) return unschedulable(pod, unscheduled.message ?? unscheduled.reason ?? '')
  const init = waitingContainer(pod, status.initContainerStatuses ?? [])
  if (init !== null) return init
  const unmade = unmadeOf(pod)
  if (unmade !== null) return unmade
  const working = status.initContainerStatuses?.find(({ state }) => state?.running !== undefined)
  if (working !== undefined)
    return { cause: `its init container ${working.name} works`, final: false, patienceMs: null, hint: null }
  return waitingContainer(pod, status.containerStatuses ?? []) ?? unreadyOf(pod)
}

/** As often as this a complaint comes before it counts: at first a probe comes too early, and a volume. */
const COMPLAINTS = 3
/** The kubelet has tried it five times by then. */
const UNMADE_MS = 20_000
const UNMADE: ReadonlySet<string> = new Set(['FailedMount', 'FailedAttachVolume', 'FailedCreatePodSandBox'])

/** Its containers cannot be made, which is told only beside the pod. */
function unmadeOf({ status, warnings = [] }: Pod): Waiting | null {
  const begun = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].some(
    ({ containerID }) => (containerID ?? '') !== '',
  )
  const warning = warnings.find(({ reason, count }) => UNMADE.has(reason) && count >= COMPLAINTS)
  if (begun || warning === undefined) return null
  return {
    cause: `its pod cannot be made: ${warning.message}`,
    final: false,
    patienceMs: UNMADE_MS,
    hint: null,
  }
}

/** It runs, and its probe does not let it count as ready. */
function unreadyOf({ status, warnings = [] }: Pod): Waiting | null {
  const unready = (status?.containerStatuses ?? []).filter(
    ({ ready, state }) => !ready && state?.running !== undefined,
  )
  for (const { name } of unready) {
    const failure = warnings.find(
      (one) => one.container === name && one.count >= COMPLAINTS && /^(Readiness|Startup) /.test(one.message),
    )
    if (failure !== undefined)
      return { cause: `not ready: ${probeText(failure.message)}`, final: false, patienceMs: null, hint: null }
  }
  return null
}

/** Of the probe that has a container killed where it fails; null: nobody complained of it. */
export function livenessFailure({ warnings = [] }: Pod, container: string): string | null {
  const failure = warnings.find((one) => one.container === container && one.message.startsWith('Liveness '))
  return failure === undefined ? null : probeText(failure.message)
}

/** What the probe said that a running container waits for; null: nobody complained of it. */
export function readinessOutput({ warnings = [] }: Pod, container: string): string | null {
  const failure = warnings.find((one) => one.container === container && one.message.startsWith('Readiness '))
  return PROBE.exec(failure?.message ?? '')?.[2] ?? null
}

const PROBE = /^(\w+) probe (?:failed|errored[^:]*): ?(.*)$/

/** `Readiness probe failed: connection refused` -> `its readiness probe fails: connection refused`. */
function probeText(message: string): string {
  const [, probe, said] = PROBE.exec(message) ?? []
  if (probe === undefined) return message
  return `its ${probe.toLowerCase()} probe fails${said === undefined || said === '' ? '' : `: ${said}`}`
}

function waitingContainer(pod: Pod, statuses: readonly ContainerStatus[]): Waiting | null {
  for (const { name, image, state, lastState, restartCount } of statuses) {
    const reason = state?.waiting?.reason
    if (reason === undefined) continue
    const message = oneLine(state?.waiting?.message ?? '')
    const explain = FINAL[reason]
    if (explain !== undefined)
      return {
        cause: explain(name, wantedImage(pod, name) ?? image, message),
        final: true,
        patienceMs: 0,
        hint: HINTS[reason] ?? null,
      }
    if (reason === 'CrashLoopBackOff') {
      const times = restartCount === 0 ? 'once' : `${String(restartCount + 1)} times`
      const cause = `crash loop: ${name} ${endOf(lastState)}, ${times} so far; it is started again after a pause`
      const liveness = livenessFailure(pod, name)
      const final = restartCount >= CRASHES
      return {
        cause: liveness === null ? cause : `${cause} (${liveness})`,
        final,
        patienceMs: final ? 0 : null,
        hint: 'devstack logs says what it printed',
      }
    }
  }
  return null
}

function endOf(last: ContainerStatus['lastState']): string {
  const end = last?.terminated
  if (end === undefined) return 'ended'
  return end.reason === 'OOMKilled' ? 'reached its memory limit' : `exited ${String(end.exitCode)}`
}

/** As the pod asks for it: the status may have another name of the same image. */
function wantedImage({ spec }: Pod, container: string): string | undefined {
  return [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === container)?.image
}

/** The scheduler's words: `0/1 nodes are available: 1 Insufficient memory. preemption: ...`. */
function unschedulable(pod: Pod, message: string): Waiting {
  const trouble = TAINTS.find(({ taint }) => message.includes(taint))
  if (trouble !== undefined)
    return { cause: `${trouble.cause}: no new pods`, final: false, patienceMs: null, hint: trouble.hint }
  const lacks = [...message.matchAll(/Insufficient ([\w/-]+(?:\.[\w/-]+)*)/g)].map(([, what]) => what ?? '')
  const why = oneLine(message).replace(/\s*preemption:.*$/, '')
  if (lacks.length === 0)
    return { cause: `no node takes it yet: ${why}`, final: false, patienceMs: null, hint: null }
  const what = [...new Set(lacks)].map((name) => `${name} left${requested(pod, name)}`)
  return {
    cause: `no node has enough ${what.join(', and not enough ')}`,
    final: false,
    patienceMs: SCHEDULING_MS,
    hint: `lower its resources.requests, or stop something: devstack ls`,
  }
}

/** ` for the 2Gi + 500Mi that it requests`: of each container that does. */
function requested({ spec }: Pod, resource: string): string {
  const amounts = spec.containers.flatMap(({ resources }) => resources?.requests?.[resource] ?? [])
  return amounts.length === 0 ? '' : ` for the ${amounts.join(' + ')} that it requests`
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
