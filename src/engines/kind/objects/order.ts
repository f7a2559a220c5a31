import { kindOf, podTemplatePath } from '../../../core/kubernetes-objects.js'
import type { ManifestObject } from '../../../core/kubernetes-objects.js'

/** What is applied together; a later stage needs what is in the ones before it. */
export const STAGES = ['access', 'config', 'storage', 'network', 'other', 'workload', 'scaling'] as const

export type Stage = (typeof STAGES)[number]

const KINDS: Readonly<Record<string, Stage>> = {
  ServiceAccount: 'access',
  'Role.rbac.authorization.k8s.io': 'access',
  'RoleBinding.rbac.authorization.k8s.io': 'access',
  ResourceQuota: 'access',
  LimitRange: 'access',
  ConfigMap: 'config',
  Secret: 'config',
  PersistentVolumeClaim: 'storage',
  Service: 'network',
  'NetworkPolicy.networking.k8s.io': 'network',
  'Ingress.networking.k8s.io': 'network',
  'HorizontalPodAutoscaler.autoscaling': 'scaling',
  'PodDisruptionBudget.policy': 'scaling',
}

export function stageOf(object: ManifestObject): Stage {
  if (podTemplatePath(object) !== null) return 'workload'
  const kind = kindOf(object)
  return Object.hasOwn(KINDS, kind) ? (KINDS[kind] ?? 'other') : 'other'
}
