import { setTimeout as sleep } from 'node:timers/promises'
import type { Workload } from '../../core/kubernetes-workloads.js'
import type { Kube, KubeObject } from './kube-ports.js'
import { KUBE_LABEL } from './pods.js'
import type { Pod } from './pods.js'

const API: Readonly<Record<string, string>> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  ReplicaSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  Pod: 'v1',
}

/** Kinds that can be stopped without being deleted. */
const SCALED: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'ReplicaSet'])

async function pathOf(kube: Kube, { kind, name }: Workload, signal: AbortSignal): Promise<string | null> {
  return kube.path({ apiVersion: API[kind] ?? 'v1', kind }, name, signal)
}

/** The workload as the cluster has it; null where it is not there. */
async function readWorkload(kube: Kube, workload: Workload, signal: AbortSignal): Promise<KubeObject | null> {
  const path = await pathOf(kube, workload, signal)
  return path === null ? null : kube.get(path, signal)
}

/** Lets it have its pods. False where it is not there: then it has to be created. */
export async function scaleUp(kube: Kube, workload: Workload, signal: AbortSignal): Promise<boolean> {
  const there = await readWorkload(kube, workload, signal)
  if (there === null) return false
  const path = await pathOf(kube, workload, signal)
  if (path === null) return false
  const spec = there['spec'] as { readonly replicas?: number; readonly suspend?: boolean } | undefined
  if (SCALED.has(workload.kind) && (spec?.replicas ?? 1) !== workload.replicas)
    await kube.patch(path, 'merge', { spec: { replicas: workload.replicas } }, signal)
  if (workload.kind === 'Job' && spec?.suspend === true)
    await kube.patch(path, 'merge', { spec: { suspend: false } }, signal)
  return true
}

/** Deletes one that is over for good, so that it can be made anew: a Job that failed, a pod that ended. */
export async function clearOver(kube: Kube, workload: Workload, signal: AbortSignal): Promise<void> {
  const there = await readWorkload(kube, workload, signal)
  const path = await pathOf(kube, workload, signal)
  if (there === null || path === null || !isOver(there)) return
  await kube.delete(path, { propagation: 'Background' }, signal)
  while ((await kube.get(path, signal)) !== null) await sleep(LOOK_MS, undefined, { signal })
}

function isOver(object: KubeObject): boolean {
  if (object.kind === 'Pod') return isPodOver(object as KubeObject & Pod)
  const { conditions = [] } = (object['status'] ?? {}) as {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
  return (
    object.kind === 'Job' && conditions.some(({ type, status }) => type === 'Failed' && status === 'True')
  )
}

/** Also in the seconds until its phase says so: the kubelet first ends what else runs in it. */
function isPodOver(pod: Pod): boolean {
  if (!isActive(pod)) return true
  const { containerStatuses: containers = [] } = pod.status ?? {}
  return (
    pod.spec.restartPolicy === 'Never' &&
    containers.length > 0 &&
    containers.every(({ state }) => state?.terminated !== undefined)
  )
}

/** Takes its pods away, and resolves when they are gone; data stays. `force`: they get no time to end. */
export async function stopWorkload(
  kube: Kube,
  workload: Workload,
  force: boolean,
  signal: AbortSignal,
): Promise<void> {
  const path = await pathOf(kube, workload, signal)
  if (path === null) return
  if (SCALED.has(workload.kind)) await patchIfThere(kube, path, { spec: { replicas: 0 } }, signal)
  else if (workload.kind === 'Job') await patchIfThere(kube, path, { spec: { suspend: true } }, signal)
  else await kube.delete(path, { propagation: 'Background', ...(force ? { graceSeconds: 0 } : {}) }, signal)
  const labelSelector = `${KUBE_LABEL.workload}=${workload.label}`
  if (force) await killPods(kube, labelSelector, signal)
  await untilGone(kube, labelSelector, signal)
}

async function patchIfThere(kube: Kube, path: string, body: object, signal: AbortSignal): Promise<void> {
  if ((await kube.get(path, signal)) !== null) await kube.patch(path, 'merge', body, signal)
}

async function killPods(kube: Kube, labelSelector: string, signal: AbortSignal): Promise<void> {
  const path = podsPath(kube)
  const { items } = await kube.list<Pod>(path, { labelSelector }, signal)
  const kill = { propagation: 'Background', graceSeconds: 0 } as const
  await Promise.all(
    items.filter(isActive).map(({ metadata }) => kube.delete(`${path}/${metadata.name}`, kill, signal)),
  )
}

const LOOK_MS = 100

/** Resolves when no pod of these is left but those that have ended by themselves. */
async function untilGone(kube: Kube, labelSelector: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { items } = await kube.list<Pod>(podsPath(kube), { labelSelector }, signal)
    if (!items.some(isActive)) return
    await sleep(LOOK_MS, undefined, { signal })
  }
}

function isActive({ status }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed'
}

function podsPath({ namespace }: Kube): string {
  return `/api/v1/namespaces/${namespace}/pods`
}
