import type { Problem } from '../../../core/error.js'
import { fieldsAt, Findings, kindOf, podTemplatePath, textsAt } from '../../../core/kubernetes-objects.js'
import type { Fields, ManifestObject } from '../../../core/kubernetes-objects.js'
import type { Workload } from '../../../core/kubernetes.js'
import type { Path } from '../../../core/yaml.js'
import type { KubeObject } from '../kube-ports.js'
import { KUBE_ANNOTATION, KUBE_LABEL } from '../pods.js'
import { OBJECT_ANNOTATION } from './annotations.js'
import type { Decisions } from './decisions.js'
import { fixedHash } from './fixed.js'
import { GATE, gateConfigMap } from './gate.js'
import { stableHash } from './hash.js'
import { tellForeignNames } from './names.js'
import { STAGES, stageOf } from './order.js'
import type { Stage } from './order.js'
import { plainFields, plainMetadata } from './other-kinds.js'
import { manifestNamespace, tellPodSecurity } from './namespace.js'
import { mayApply } from './refuse.js'
import { applyTemplate } from './template.js'

export { namespaceObject } from './namespace.js'

/** An object as devstack applies it. */
export interface DesiredObject {
  readonly object: KubeObject
  readonly stage: Stage
  /** Of all of it, as its annotation says: an object in the cluster that has the same needs nothing. */
  readonly hash: string
  /** Of what cannot be changed while it is there: where the cluster has another one it is deleted first. Null: nothing. */
  readonly fixedHash: string | null
  /** The workload that it is, or null. */
  readonly workload: Workload | null
  /** {@link Service.configHash} of the workload's services; empty for others. */
  readonly configHash: string
}

export interface Desired {
  /** In the order of {@link STAGES}. */
  readonly objects: readonly DesiredObject[]
  /** What is not applied, and why. */
  readonly problems: readonly Problem[]
  /** What is applied otherwise than it is written. */
  readonly warnings: readonly Problem[]
}

/**
 * The manifests' objects as they are applied: in the stack's namespace, labelled, with the images, commands and gates that
 * were decided. Pure; applied to its own outcome it changes nothing.
 */
export function toApply(objects: readonly ManifestObject[], decisions: Decisions): Desired {
  const findings = new Findings(decisions.locate)
  const namespace = manifestNamespace(objects)
  const own = objects.filter(
    (object) => kindOf(object) !== 'ConfigMap' || object.metadata.name !== GATE.configMap,
  )
  const isTeams = decisions.isTeamCluster === true
  // What a team's cluster enforces stays: files come in then as far as it lets them.
  if (!isTeams) tellPodSecurity(objects, namespace, findings)
  const allowed = own.filter((object) => mayApply(object, { namespace, isTeams }, findings))
  if (namespace !== null && namespace !== decisions.namespace) {
    tellForeignNames(allowed, namespace, decisions.namespace, findings)
  }
  const made = allowed.map((object) => toDesired(object, decisions, findings))
  const gates = made.some(({ hasGate }) => hasGate) ? [toDesired(gateConfigMap(), decisions, findings)] : []
  const desired = [...gates, ...made].map(({ desired }) => desired)
  return {
    objects: STAGES.flatMap((stage) => desired.filter((one) => one.stage === stage)),
    problems: findings.problems,
    warnings: findings.warnings,
  }
}

/** By service: what its pods' template is now. */
export function configHashes(desired: Desired): Readonly<Record<string, string>> {
  return Object.fromEntries(
    desired.objects.flatMap(({ workload, configHash }) =>
      (workload?.services ?? []).map((service) => [service, configHash] as const),
    ),
  )
}

interface Made {
  readonly desired: DesiredObject
  readonly hasGate: boolean
}

function toDesired(object: ManifestObject, decisions: Decisions, findings: Findings): Made {
  const { apiVersion, kind, metadata } = object
  const workload = decisions.workloads.find((one) => one.kind === kind && one.name === metadata.name) ?? null
  const path = podTemplatePath(object)
  const template =
    path === null
      ? null
      : applyTemplate({ object, path, workload: path === null ? null : workload }, decisions, findings)
  const rest = plainFields(object, decisions, findings)
  const whole: KubeObject = {
    apiVersion,
    kind,
    ...(path === null || template === null ? rest : replaced(rest, path, template.fields)),
    metadata: ownMetadata(object, template?.fields ?? null, decisions),
  }
  const fixed = fixedHash(whole)
  const hash = stableHash(whole)
  const annotations = {
    ...whole.metadata.annotations,
    [OBJECT_ANNOTATION.hash]: hash,
    ...(fixed === null ? {} : { [OBJECT_ANNOTATION.fixedHash]: fixed }),
  }
  return {
    desired: {
      object: { ...whole, metadata: { ...whole.metadata, annotations } },
      stage: stageOf(object),
      hash,
      fixedHash: fixed,
      workload: path === null ? null : workload,
      configHash: template?.configHash ?? '',
    },
    hasGate: template?.hasGate === true,
  }
}

/** The template in its place; that of a bare pod is the pod itself. */
function replaced(fields: Fields, path: Path, template: Fields): Fields {
  const [key, ...deeper] = path
  if (key === undefined) return { ...fields, spec: template['spec'] }
  const inner = deeper.length === 0 ? template : replaced(fieldsAt(fields, [key]), deeper, template)
  return { ...fields, [key]: inner }
}

/** kubectl's copy of the whole object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

function ownMetadata(
  object: ManifestObject,
  template: Fields | null,
  { project, namespace, worktree }: Decisions,
): KubeObject['metadata'] {
  const isPod = kindOf(object) === 'Pod'
  const written = isPod ? fieldsAt(template, ['metadata']) : object.metadata
  const {
    [OBJECT_ANNOTATION.hash]: _hash,
    [OBJECT_ANNOTATION.fixedHash]: _fixed,
    [LAST_APPLIED]: _applied,
    ...annotations
  } = textsAt(written, ['annotations'])
  // A selector may want a pod's label as it is; others are selected by devstack alone.
  const managedBy = isPod ? {} : { [KUBE_LABEL.managedBy]: 'devstack' }
  return {
    ...plainMetadata(object),
    name: object.metadata.name,
    namespace,
    labels: { ...textsAt(written, ['labels']), ...managedBy, [KUBE_LABEL.project]: project },
    annotations: { ...annotations, [KUBE_ANNOTATION.worktree]: worktree },
  }
}
