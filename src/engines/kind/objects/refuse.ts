import {
  groupOf,
  kindOf,
  listAt,
  nameOf,
  podTemplatePath,
  textAt,
  valueAt,
} from '../../../core/kubernetes-objects.js'
import type { Findings, ManifestObject } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'

/** Kinds without a namespace. Which others there are only the server knows: their path has no namespace. */
const CLUSTER_KINDS: ReadonlySet<string> = new Set([
  'Namespace',
  'Node',
  'PersistentVolume',
  'ClusterRole.rbac.authorization.k8s.io',
  'ClusterRoleBinding.rbac.authorization.k8s.io',
  'CustomResourceDefinition.apiextensions.k8s.io',
  'APIService.apiregistration.k8s.io',
  'IngressClass.networking.k8s.io',
  'PriorityClass.scheduling.k8s.io',
  'RuntimeClass.node.k8s.io',
  'CertificateSigningRequest.certificates.k8s.io',
  'FlowSchema.flowcontrol.apiserver.k8s.io',
  'PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io',
])
const CLUSTER_GROUPS: ReadonlySet<string> = new Set(['admissionregistration.k8s.io'])
const NAMESPACED_STORAGE: ReadonlySet<string> = new Set(['CSIStorageCapacity'])

/** Whether it is known to belong to the whole cluster. */
function isClusterWide(object: ManifestObject): boolean {
  const group = groupOf(object)
  if (group === 'storage.k8s.io') return !NAMESPACED_STORAGE.has(object.kind)
  return CLUSTER_GROUPS.has(group) || CLUSTER_KINDS.has(kindOf(object))
}

/**
 * Whether an object may be applied; why not is told. A cluster is shared by all worktrees, and may be a team's: what reaches
 * out of the stack's own namespace would be everybody's, and would stay when the stack goes.
 */
export function mayApply(object: ManifestObject, namespace: string | null, findings: Findings): boolean {
  if (isClusterWide(object)) {
    if (object.kind === 'Namespace' && object.metadata.name === namespace) return false
    const what = `${nameOf(object)} belongs to the whole cluster, which other worktrees share`
    findings.problem(object, ['kind'], what, hintFor(object))
    return false
  }
  const own = textAt(object, ['metadata', 'namespace'])
  if (own !== null && own !== namespace) {
    const what = `${nameOf(object)} is in the namespace ${own}, others are in ${namespace ?? 'none'}`
    const hint = 'a stack is in one namespace, its own: take it out of these manifests'
    findings.problem(object, ['metadata', 'namespace'], what, hint)
    return false
  }
  const template = podTemplatePath(object)
  return template === null || staysInside(object, [...template, 'spec'], findings)
}

function hintFor({ kind }: ManifestObject): string {
  if (kind === 'ClusterRole' || kind === 'ClusterRoleBinding') {
    return `a ${kind.replace('Cluster', '')} is enough inside of the stack's own namespace`
  }
  if (kind === 'Namespace')
    return "leave it out: the stack gets a namespace of its own, by its worktree's name"
  return 'leave it out of the manifests that devstack applies, and apply it once with kubectl'
}

const HOST_WORDS: Readonly<Record<string, string>> = {
  hostNetwork: 'the network',
  hostPID: 'the processes',
  hostIPC: 'the shared memory',
}

function staysInside(object: ManifestObject, spec: Path, findings: Findings): boolean {
  let inside = true
  for (const [key, what] of Object.entries(HOST_WORDS)) {
    if (valueAt(object, [...spec, key]) !== true) continue
    inside = false
    const message = `${nameOf(object)} wants ${what} of the node (${key}), which other worktrees share`
    findings.problem(object, [...spec, key], message, `take out ${key}`)
  }
  for (const [index, volume] of listAt(object, [...spec, 'volumes']).entries()) {
    if (valueAt(volume, ['hostPath']) === undefined) continue
    inside = false
    const path = textAt(volume, ['hostPath', 'path']) ?? ''
    const message = `${nameOf(object)} mounts ${path} of the node, which other worktrees share and which goes with the cluster`
    const hint = 'a PersistentVolumeClaim keeps data, an emptyDir shares it within a pod'
    findings.problem(object, [...spec, 'volumes', index, 'hostPath'], message, hint)
  }
  tellPrivileged(object, spec, findings)
  return inside
}

/** As much as a privileged container of Compose's has: its owner may want that, and should know it. */
function tellPrivileged(object: ManifestObject, spec: Path, findings: Findings): void {
  for (const key of ['containers', 'initContainers']) {
    for (const [index, container] of listAt(object, [...spec, key]).entries()) {
      if (valueAt(container, ['securityContext', 'privileged']) !== true) continue
      const path: Path = [...spec, key, index, 'securityContext', 'privileged']
      const message = `${nameOf(object)} runs a privileged container: it can do to this machine what root can`
      findings.warning(object, path, message, null)
    }
  }
}
