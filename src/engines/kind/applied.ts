import { kindOf } from '../../core/kubernetes-objects.js'
import type { Kube, KubeObject } from './kube-ports.js'
import { OBJECT_ANNOTATION } from './objects/annotations.js'
import type { Desired, DesiredObject } from './objects/to-apply.js'
import { KUBE_LABEL } from './pods.js'

/** What the cluster has of a stack, by {@link keyOf}. */
export type Applied = ReadonlyMap<string, KubeObject>

/** Kinds that are looked through for what the manifests no longer have, beside those that they have. */
const USUAL_KINDS: readonly { readonly apiVersion: string; readonly kind: string }[] = [
  { apiVersion: 'v1', kind: 'ConfigMap' },
  { apiVersion: 'v1', kind: 'Secret' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'batch/v1', kind: 'Job' },
]
/** Also what only `down` has to find. */
const OTHER_KINDS: readonly { readonly apiVersion: string; readonly kind: string }[] = [
  { apiVersion: 'v1', kind: 'Pod' },
  { apiVersion: 'v1', kind: 'ServiceAccount' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  { apiVersion: 'batch/v1', kind: 'CronJob' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role' },
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' },
]

export function keyOf(object: Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>): string {
  return `${kindOf(object)}/${object.metadata.name}`
}

/** The objects of a stack that carry its label, but for what other objects made: pods, volume claims, endpoints. */
export async function readApplied(
  kube: Kube,
  project: string,
  desired: Desired | null,
  signal: AbortSignal,
): Promise<Applied> {
  const types = new Map<string, { readonly apiVersion: string; readonly kind: string }>()
  const kinds = [
    ...USUAL_KINDS,
    ...(desired === null ? OTHER_KINDS : desired.objects.map(({ object }) => object)),
  ]
  for (const { apiVersion, kind } of kinds) types.set(`${apiVersion} ${kind}`, { apiVersion, kind })
  const labelSelector = `${KUBE_LABEL.project}=${project}`
  const lists = await Promise.all(
    [...types.values()].map(async (type) => {
      const path = await kube.path(type, null, signal)
      return path === null ? [] : (await kube.list(path, { labelSelector }, signal)).items
    }),
  )
  const own = lists.flat().filter(({ metadata }) => (metadata.ownerReferences ?? []).length === 0)
  return new Map(own.map((object) => [keyOf(object), object]))
}

export interface Difference {
  /** Not there, or there as something else. */
  readonly changed: readonly DesiredObject[]
  /** Of these: what has to be deleted first. */
  readonly remade: readonly KubeObject[]
  /** There, and not wanted any more. */
  readonly left: readonly KubeObject[]
}

/** What has to be done so that the cluster has what is desired. Data is never among what is left: a volume claim stays. */
export function compareApplied(desired: Desired, applied: Applied): Difference {
  const wanted = new Set(desired.objects.map(({ object }) => keyOf(object)))
  const changed = desired.objects.filter(({ object, hash }) => {
    const there = applied.get(keyOf(object))
    return there?.metadata.annotations?.[OBJECT_ANNOTATION.hash] !== hash
  })
  const remade = changed.flatMap(({ object, fixedHash }) => {
    const there = applied.get(keyOf(object))
    if (there === undefined || fixedHash === null) return []
    const same = there.metadata.annotations?.[OBJECT_ANNOTATION.fixedHash] === fixedHash
    return same && !isJobOver(there) ? [] : [there]
  })
  const left = [...applied].flatMap(([key, object]) =>
    wanted.has(key) || object.kind === 'PersistentVolumeClaim' ? [] : [object],
  )
  return { changed, remade, left }
}

/** A changed Job runs again: one that is over never would. */
function isJobOver({ kind, status }: KubeObject): boolean {
  const conditions = (
    status as { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
  )?.conditions
  return (
    kind === 'Job' &&
    conditions?.some(({ type, status: value }) => type !== 'Suspended' && value === 'True') === true
  )
}
