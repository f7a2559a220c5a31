import { kindOf, textAt } from '../../../core/kubernetes-objects.js'
import type { Fields } from '../../../core/kubernetes-objects.js'
import type { KubeObject } from '../kube-ports.js'
import { stableHash } from './hash.js'

/** By kind: the parts of `spec` that may change; the server refuses any other change. */
const CHANGEABLE: Readonly<Record<string, readonly string[]>> = {
  'StatefulSet.apps': [
    'minReadySeconds',
    'ordinals',
    'persistentVolumeClaimRetentionPolicy',
    'replicas',
    'revisionHistoryLimit',
    'template',
    'updateStrategy',
  ],
  'Job.batch': ['activeDeadlineSeconds', 'backoffLimit', 'parallelism', 'suspend'],
  PersistentVolumeClaim: ['resources', 'volumeAttributesClassName'],
  Pod: [],
}
const FIXED_SELECTOR: ReadonlySet<string> = new Set(['Deployment.apps', 'DaemonSet.apps', 'ReplicaSet.apps'])

/** Hash of what cannot be changed while the object is there: another one asks for a new object. Null: everything can. */
export function fixedHash(object: KubeObject): string | null {
  const fixed = fixedPart(object)
  return fixed === null ? null : stableHash(fixed)
}

function fixedPart(object: KubeObject): unknown {
  const kind = kindOf(object)
  const spec = (object['spec'] ?? {}) as Fields
  const changeable = Object.hasOwn(CHANGEABLE, kind) ? CHANGEABLE[kind] : undefined
  if (changeable !== undefined) {
    const fixed = Object.fromEntries(Object.entries(spec).filter(([key]) => !changeable.includes(key)))
    return kind === 'StatefulSet.apps' ? { ...fixed, strategy: strategyOf(spec) } : fixed
  }
  if (FIXED_SELECTOR.has(kind)) return { selector: spec['selector'], strategy: strategyOf(spec) }
  if (kind === 'Service') return { headless: spec['clusterIP'] === 'None' }
  if (kind === 'RoleBinding.rbac.authorization.k8s.io') return { roleRef: object['roleRef'] }
  if (kind !== 'ConfigMap' && kind !== 'Secret') return null
  const { metadata: _metadata, ...content } = object
  return object['immutable'] === true ? content : { type: object['type'] }
}

/** The server has filled in the details of the one, and refuses them for the other. */
function strategyOf(spec: Fields): string {
  return textAt(spec, ['strategy', 'type']) ?? textAt(spec, ['updateStrategy', 'type']) ?? 'RollingUpdate'
}
