import { DevstackError } from '../../../core/error.js'
import type { SourcePosition } from '../../../core/error.js'
import { kindOf, nameOf, textAt, textsAt } from '../../../core/kubernetes-objects.js'
import type { Findings, ManifestObject } from '../../../core/kubernetes-objects.js'
import type { KubeObject } from '../kube-ports.js'
import { KUBE_ANNOTATION, KUBE_LABEL } from '../pods.js'
import type { Decisions } from './decisions.js'

/** The namespace that the manifests are written for: the one that most of them name. */
export function manifestNamespace(objects: readonly ManifestObject[]): string | null {
  const counts = new Map<string, number>()
  for (const object of objects) {
    const namespace = textAt(object, ['metadata', 'namespace'])
    if (namespace !== null) counts.set(namespace, (counts.get(namespace) ?? 0) + 1)
  }
  const named = [...counts].sort(([, one], [, other]) => other - one)[0]?.[0]
  const lone = objects.filter((object) => kindOf(object) === 'Namespace')
  return named ?? (lone.length === 1 ? (lone[0]?.metadata.name ?? null) : null)
}

/** The stack's namespace, for whoever creates it: with the labels of the manifests' own, where that is one of them. */
export function namespaceObject(
  objects: readonly ManifestObject[],
  {
    project,
    namespace,
    worktree,
    isTeamCluster = false,
    owner = null,
  }: Pick<Decisions, 'project' | 'namespace' | 'worktree' | 'isTeamCluster'> & {
    readonly owner?: string | null
  },
): KubeObject {
  const own = ownNamespace(objects, manifestNamespace(objects))
  const { 'kubernetes.io/metadata.name': _name, ...labels } = textsAt(own, ['metadata', 'labels'])
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: namespace,
      labels: {
        ...(isTeamCluster ? labels : lenient(labels)),
        [KUBE_LABEL.managedBy]: 'devstack',
        [KUBE_LABEL.project]: project,
      },
      annotations: {
        [KUBE_ANNOTATION.worktree]: worktree,
        ...(owner === null ? {} : { [KUBE_ANNOTATION.owner]: owner }),
      },
    },
  }
}

/** Who a namespace must be of. */
export interface NamespaceOwner {
  readonly project: string
  /** Null: the cluster is ours, and the project's label is enough. */
  readonly owner: string | null
}

/** Whether a namespace was made for this stack; one that was not, even an empty one, is nobody's to take. */
export function isOwnNamespace({ metadata }: KubeObject, { project, owner }: NamespaceOwner): boolean {
  const { labels = {}, annotations = {} } = metadata
  return (
    labels[KUBE_LABEL.project] === project && (owner === null || annotations[KUBE_ANNOTATION.owner] === owner)
  )
}

/** @throws DevstackError STATE_FOREIGN where it was not made for this stack */
export function requireOwnNamespace(
  namespace: KubeObject,
  wanted: NamespaceOwner,
  at: SourcePosition | null = null,
): void {
  if (isOwnNamespace(namespace, wanted)) return
  const { name, labels = {}, annotations = {} } = namespace.metadata
  const ours = labels[KUBE_LABEL.project] !== undefined
  const maker = (annotations[KUBE_ANNOTATION.owner] ?? '').split(' ')[0] ?? ''
  const where = annotations[KUBE_ANNOTATION.worktree] ?? ''
  const from = [maker === '' ? '' : ` of ${maker}`, where === '' ? '' : ` in ${where}`].join('')
  throw new DevstackError('STATE_FOREIGN', `the namespace ${name} is not of this stack, and is left alone`, {
    cause: ours
      ? `devstack made it for the stack ${labels[KUBE_LABEL.project] ?? ''}${from}`
      : 'devstack did not make it: it does not carry our label',
    hint:
      wanted.owner === null
        ? 'another name for the stack: --project-name NAME'
        : 'another kubernetes.namespace in devstack.yaml; with {user} each developer has their own',
    at,
  })
}

function ownNamespace(objects: readonly ManifestObject[], name: string | null): ManifestObject | undefined {
  return objects.find((object) => kindOf(object) === 'Namespace' && object.metadata.name === name)
}

const ENFORCE = 'pod-security.kubernetes.io/enforce'

/**
 * What delivers files into a pod needs rights that no level of pod security but `privileged` leaves: where one is enforced,
 * the server warns of pods that break it instead.
 */
function lenient(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { [ENFORCE]: level, [`${ENFORCE}-version`]: version, ...rest } = labels
  if (level === undefined) return labels
  const warn = 'pod-security.kubernetes.io/warn'
  return { [warn]: level, ...(version === undefined ? {} : { [`${warn}-version`]: version }), ...rest }
}

/** Tells where pods are let in that the manifests' own namespace would refuse. */
export function tellPodSecurity(
  objects: readonly ManifestObject[],
  namespace: string | null,
  findings: Findings,
): void {
  const own = ownNamespace(objects, namespace)
  const level = textsAt(own, ['metadata', 'labels'])[ENFORCE]
  if (own === undefined || level === undefined || level === 'privileged') return
  const what = `${nameOf(own)} refuses pods that are not "${level}"; here they run, so that files can be delivered`
  findings.warning(own, ['metadata', 'labels', ENFORCE], what, null)
}
