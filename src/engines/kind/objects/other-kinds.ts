import { fieldsAt, kindOf, listAt, nameOf, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Fields, Findings, ManifestObject } from '../../../core/kubernetes-objects.js'
import { KUBE_LABEL } from '../pods.js'
import type { Decisions } from './decisions.js'

/** What the server fills in: there where somebody saved what the cluster had. */
const SERVER_METADATA: readonly string[] = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'selfLink',
]

/** Metadata that may be applied. */
export function plainMetadata(object: ManifestObject): Fields {
  const entries = Object.entries(object.metadata).filter(([key]) => !SERVER_METADATA.includes(key))
  return Object.fromEntries(entries)
}

/** What is beside metadata, changed so that several worktrees can have it, and that nothing runs which nobody asked for. */
export function plainFields(
  object: ManifestObject,
  { namespace, project }: Pick<Decisions, 'namespace' | 'project'>,
  findings: Findings,
): Fields {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, status: _status, ...rest } = object
  switch (kindOf(object)) {
    case 'Service':
      return { ...rest, spec: insideOnly(fieldsAt(object, ['spec'])) }
    case 'StatefulSet.apps':
      return { ...rest, spec: withOwnClaims(object, project) }
    case 'CronJob.batch':
      return { ...rest, spec: { ...fieldsAt(object, ['spec']), suspend: true } }
    case 'Job.batch':
      return { ...rest, spec: kept(object, findings) }
    case 'RoleBinding.rbac.authorization.k8s.io':
      return { ...rest, subjects: subjects(object, namespace) }
    case 'Ingress.networking.k8s.io':
      findings.warning(
        object,
        ['kind'],
        `nothing answers for ${nameOf(object)} here`,
        'open an address of devstack',
      )
      return rest
    case 'HorizontalPodAutoscaler.autoscaling':
      findings.warning(
        object,
        ['kind'],
        `${nameOf(object)} does nothing here: the cluster measures no use`,
        null,
      )
      return rest
    default:
      return rest
  }
}

/** Ports of the node and fixed addresses are the whole cluster's; people come by a port of their own machine. */
const OUTSIDE: readonly string[] = [
  'allocateLoadBalancerNodePorts',
  'externalIPs',
  'externalTrafficPolicy',
  'healthCheckNodePort',
  'loadBalancerClass',
  'loadBalancerIP',
  'loadBalancerSourceRanges',
]

function insideOnly(spec: Fields): Fields {
  const isHeadless = spec['clusterIP'] === 'None'
  const outside = isHeadless ? OUTSIDE : [...OUTSIDE, 'clusterIP', 'clusterIPs']
  const rest = Object.fromEntries(Object.entries(spec).filter(([key]) => !outside.includes(key)))
  const ports = listAt(spec, ['ports']).map((port) => {
    if (valueAt(port, ['nodePort']) === undefined) return port
    const { nodePort: _port, ...own } = port as Fields
    return own
  })
  const isOpen = spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer'
  return {
    ...rest,
    ...(spec['ports'] === undefined ? {} : { ports }),
    ...(isOpen ? { type: 'ClusterIP' } : {}),
  }
}

/** The claims that are made from these are deleted with the stack's data, and known by their label. */
function withOwnClaims(object: ManifestObject, project: string): Fields {
  const spec = fieldsAt(object, ['spec'])
  const claims = listAt(spec, ['volumeClaimTemplates']).map((claim) => {
    const metadata = fieldsAt(claim, ['metadata'])
    const labels = { ...fieldsAt(metadata, ['labels']), [KUBE_LABEL.project]: project }
    return { ...fieldsAt(claim, []), metadata: { ...metadata, labels } }
  })
  return claims.length === 0 ? spec : { ...spec, volumeClaimTemplates: claims }
}

/** One that removes itself would be missing at the next look, and run again. */
function kept(object: ManifestObject, findings: Findings): Fields {
  const { ttlSecondsAfterFinished, ...spec } = fieldsAt(object, ['spec'])
  if (ttlSecondsAfterFinished !== undefined) {
    const what = `${nameOf(object)} stays when it has ended: without it nobody would know that it ran`
    findings.warning(object, ['spec', 'ttlSecondsAfterFinished'], what, null)
  }
  return spec
}

function subjects(object: ManifestObject, namespace: string): readonly unknown[] {
  return listAt(object, ['subjects']).map((subject) =>
    textAt(subject, ['kind']) === 'ServiceAccount' ? { ...(subject as Fields), namespace } : subject,
  )
}
