import { containerNotes, KUBE_LABEL } from '../pods.js'
import type { ContainerStatus, Pod } from '../pods.js'

/** Which runs of a container have a log that the kubelet still gives away; a run's number is the restarts before it. */
export interface Runs {
  /** The one whose log is given without `previous`; null: none has begun. */
  readonly current: { readonly run: number; readonly ended: boolean } | null
  /** The one whose log is given with `previous`, where that is another one. */
  readonly previous: number | null
}

export function runsOf({ restartCount, state, lastState }: ContainerStatus): Runs {
  const before = lastState?.terminated !== undefined && restartCount > 0 ? restartCount - 1 : null
  if (state?.running !== undefined) return { current: { run: restartCount, ended: false }, previous: before }
  if (state?.terminated !== undefined)
    return { current: { run: restartCount, ended: true }, previous: before }
  // Between two runs, as in CrashLoopBackOff, the last one's log is given with `previous` and without.
  const ended = lastState?.terminated !== undefined
  return { current: ended ? { run: restartCount, ended: true } : null, previous: null }
}

/** The containers whose output belongs to the stack. Ephemeral ones are tools: devstack's own, or a debugger's. */
export function loggedContainers({ status }: Pod): readonly ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
}

/** The service that a container's lines are shown under; an init container without a note belongs to its pod's first service. */
export function serviceOf(pod: Pod, container: string): string {
  const notes = containerNotes(pod)
  const noted = notes[container]?.service
  if (noted !== undefined) return noted
  const first = pod.spec.containers.map(({ name }) => notes[name]?.service).find((name) => name !== undefined)
  return first ?? pod.metadata.labels?.[KUBE_LABEL.workload] ?? pod.metadata.name
}
