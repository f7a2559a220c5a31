import type { Health, Instance, InstanceState } from '../../core/project.js'
import type { Gates } from './gates.js'
import { containerNotes, instanceId, openedAt, statusOf } from './pods.js'
import type { ContainerStatus, ContainerNote, Pod } from './pods.js'

/** By service: id of the local image that it should be made from; a missing key: not known. */
export type WantedImages = Readonly<Record<string, string>>

/** The pods that count: one that is being deleted is as good as gone, and its successor is there or comes. */
export function isAlive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isEvicted(pod)
}

/** The kubelet threw it out; what it was is replaced, and its containers are gone. */
function isEvicted(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' && pod.status.reason === 'Evicted'
}

/** What runs of the stack: each container of each pod that is one of its services. */
export function toInstances(pods: readonly Pod[], gates: Gates, wanted: WantedImages): readonly Instance[] {
  return withoutEarlierTries(pods.filter(isAlive))
    .flatMap((pod) => instancesOf(pod, gates, wanted))
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
}

/** A Job makes a pod for each try: the last one is what it is now. */
function withoutEarlierTries(pods: readonly Pod[]): readonly Pod[] {
  const last = new Map<string, Pod>()
  for (const pod of pods) {
    const job = jobOf(pod)
    const known = job === null ? undefined : last.get(job)
    if (job !== null && (known === undefined || isLater(pod, known))) last.set(job, pod)
  }
  return pods.filter((pod) => {
    const job = jobOf(pod)
    return job === null || last.get(job) === pod
  })
}

function jobOf({ metadata }: Pod): string | null {
  return metadata.ownerReferences?.find(({ kind }) => kind === 'Job')?.uid ?? null
}

function isLater({ metadata: one }: Pod, { metadata: other }: Pod): boolean {
  return Date.parse(one.creationTimestamp ?? '') >= Date.parse(other.creationTimestamp ?? '')
}

export function instancesOf(pod: Pod, gates: Gates, wanted: WantedImages): readonly Instance[] {
  return Object.entries(containerNotes(pod)).map(([container, note]) =>
    toInstance(pod, container, note, gates, wanted),
  )
}

function toInstance(
  pod: Pod,
  container: string,
  note: ContainerNote,
  gates: Gates,
  wanted: WantedImages,
): Instance {
  const { uid = '', name } = pod.metadata
  const status = statusOf(pod, container)
  const restartCount = status?.restartCount ?? 0
  const id = instanceId({ uid, container, restartCount })
  // In the pause after a crash only the last state tells of the run that was.
  const run = status?.state?.running ?? status?.state?.terminated ?? status?.lastState?.terminated
  const startedAt = run?.startedAt ?? null
  const opened = gates.openedAt(id) ?? openedAt(pod, container, restartCount)
  const isOpen = opened !== null || gates.isOpen(id, startedAt)
  const waits = note.gated && status?.state?.running !== undefined && !isOpen
  const state = waits ? 'created' : stateOf(pod, status)
  const ended = state === 'exited' || state === 'restarting' ? endOf(status) : undefined
  return {
    id,
    service: note.service,
    name: Object.keys(containerNotes(pod)).length === 1 ? name : `${name}/${container}`,
    state,
    health: healthOf(pod, container, status, state),
    exitCode: ended?.exitCode ?? null,
    oomKilled: ended?.reason === 'OOMKilled',
    restarts: restartCount,
    startedAt: waits ? null : (opened ?? startedAt),
    configHash: note.configHash,
    imageId: note.imageId,
    wantedImageId: wanted[note.service] ?? note.imageId,
    buildHash: note.buildHash,
  }
}

function stateOf(pod: Pod, status: ContainerStatus | undefined): InstanceState {
  const over = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
  if (status?.state?.running !== undefined) return 'running'
  if (status?.state?.terminated !== undefined) return over || !restarts(pod, status) ? 'exited' : 'restarting'
  if (over) return 'exited'
  return status?.lastState?.terminated === undefined ? 'created' : 'restarting'
}

function restarts(pod: Pod, status: ContainerStatus): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always'
  if (policy === 'Never') return false
  return policy === 'Always' || status.state?.terminated?.exitCode !== 0
}

function endOf(status: ContainerStatus | undefined) {
  return status?.state?.terminated ?? status?.lastState?.terminated
}

function healthOf(
  pod: Pod,
  container: string,
  status: ContainerStatus | undefined,
  state: InstanceState,
): Health {
  const spec = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
    ({ name }) => name === container,
  )
  if (spec?.readinessProbe === undefined || state !== 'running') return 'none'
  return status?.ready === true ? 'healthy' : 'starting'
}
