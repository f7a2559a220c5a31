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

interface Place {
  /** That the manifests are written for. */
  readonly namespace: string | null
  /** Somebody else runs the cluster. */
  readonly isTeams: boolean
}

/**
 * Whether an object may be applied; why not is told. A cluster is shared by all worktrees, and may be a team's: what reaches
 * out of the stack's own namespace would be everybody's, and would stay when the stack goes.
 */
export function mayApply(object: ManifestObject, place: Place, findings: Findings): boolean {
  const { namespace, isTeams } = place
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
  if (isTeams && ROUTES.has(kindOf(object))) return leaveOut(object, findings)
  return template === null || staysInside(object, [...template, 'spec'], isTeams, findings)
}

/** By the names in them a cluster's way in leads to Services, whoever wrote them. */
const ROUTES: ReadonlySet<string> = new Set([
  'Ingress.networking.k8s.io',
  'HTTPRoute.gateway.networking.k8s.io',
  'GRPCRoute.gateway.networking.k8s.io',
  'TCPRoute.gateway.networking.k8s.io',
  'TLSRoute.gateway.networking.k8s.io',
  'Route.route.openshift.io',
])

function leaveOut(object: ManifestObject, findings: Findings): false {
  const what = `${nameOf(object)} is left out: in a cluster of the team's it would take requests that are meant for others`
  findings.warning(object, ['kind'], what, 'open an address of devstack')
  return false
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

function staysInside(object: ManifestObject, spec: Path, isTeams: boolean, findings: Findings): boolean {
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
  const privileged = privilegedContainers(object, spec)
  for (const path of privileged) {
    const what = `${nameOf(object)} runs a privileged container: it can do to`
    if (isTeams)
      findings.problem(object, path, `${what} the nodes of the team what root can`, 'take out privileged')
    else findings.warning(object, path, `${what} this machine what root can`, null)
  }
  return inside && !(isTeams && privileged.length > 0)
}

/** On this machine as much as a privileged container of Compose's has: its owner may want that, and should know it. */
function privilegedContainers(object: ManifestObject, spec: Path): readonly Path[] {
  return ['containers', 'initContainers'].flatMap((key) =>
    listAt(object, [...spec, key]).flatMap((container, index) =>
      valueAt(container, ['securityContext', 'privileged']) === true
        ? [[...spec, key, index, 'securityContext', 'privileged']]
        : [],
    ),
  )
}
