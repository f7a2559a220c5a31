import type { SourcePosition } from './error.js'
import {
  fieldsAt,
  kindOf,
  listAt,
  nameOf,
  podTemplatePath,
  selects,
  textAt,
  textsAt,
  valueAt,
} from './kubernetes-objects.js'
import type { Fields, Findings, ManifestObject } from './kubernetes-objects.js'
import type { Path } from './yaml.js'

/** What makes pods, and which services their containers are. */
export interface Workload {
  readonly kind: string
  readonly name: string
  /** Unique among the stack's workloads and fit for a label: its name, but for clashes and very long ones. */
  readonly label: string
  /** Wanted number of pods; 1 of a DaemonSet, which has one on each node. */
  readonly replicas: number
  /** The services that share each of its pods, in the order of the containers. */
  readonly services: readonly string[]
  /** Container of its pods -> the service that it is: also a sidecar, but no init container that ends. */
  readonly containers: Readonly<Record<string, string>>
  readonly at: SourcePosition | null
}

/** A workload with what it was read from. */
export interface WorkloadSource extends Workload {
  readonly object: ManifestObject
  /** Of the pods. */
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly spec: Fields
  readonly specPath: Path
  readonly parts: readonly ContainerSource[]
}

export interface ContainerSource {
  readonly service: string
  readonly container: string
  readonly fields: Fields
  readonly path: Path
  /** An init container that runs as long as the pod. */
  readonly sidecar: boolean
}

/** The objects whose pods are run, with a name for each container; the rest is told. */
export function findWorkloads(
  objects: readonly ManifestObject[],
  findings: Findings,
): readonly WorkloadSource[] {
  const drafts = objects.flatMap((object) => {
    const draft = toDraft(object, findings)
    return draft === null ? [] : [draft]
  })
  const names = nameServices(drafts, findings)
  const labels = labelsOf(drafts)
  return drafts.map((draft, index): WorkloadSource => {
    const { object, containers, ...rest } = draft
    const parts = containers.map((container): ContainerSource => ({
      ...container,
      service: names.get(container.path) ?? container.container,
    }))
    return {
      ...rest,
      object,
      kind: object.kind,
      name: object.metadata.name,
      label: labels[index] ?? object.metadata.name,
      replicas: replicasOf(object),
      services: parts.map(({ service }) => service),
      containers: Object.fromEntries(parts.map(({ container, service }) => [container, service])),
      at: findings.at(object, []),
      parts,
    }
  })
}

interface Draft extends Pick<WorkloadSource, 'object' | 'labels' | 'annotations' | 'spec' | 'specPath'> {
  readonly containers: readonly Omit<ContainerSource, 'service'>[]
}

function toDraft(object: ManifestObject, findings: Findings): Draft | null {
  const template = podTemplatePath(object)
  if (template === null) return null
  if (kindOf(object) === 'CronJob.batch') {
    const hint = `kubectl create job --from=cronjob/${object.metadata.name} runs it once`
    findings.warning(
      object,
      ['kind'],
      `${nameOf(object)} is there, but suspended: nothing runs by the clock`,
      hint,
    )
    return null
  }
  const specPath = [...template, 'spec']
  const containers = readContainers(object, specPath, findings)
  if (containers.length === 0) {
    findings.problem(object, specPath, `${nameOf(object)} has no containers`, null)
    return null
  }
  const labels = textsAt(object, [...template, 'metadata', 'labels'])
  checkSelector(object, labels, findings)
  return {
    object,
    labels,
    annotations: textsAt(object, [...template, 'metadata', 'annotations']),
    spec: fieldsAt(object, specPath),
    specPath,
    containers,
  }
}

function readContainers(object: ManifestObject, specPath: Path, findings: Findings): Draft['containers'] {
  const seen = new Set<string>()
  return ['containers', 'initContainers'].flatMap((key) =>
    listAt(object, [...specPath, key]).flatMap((value, index) => {
      const path = [...specPath, key, index]
      const sidecar = key === 'initContainers'
      if (sidecar && textAt(value, ['restartPolicy']) !== 'Always') return []
      const container = textAt(value, ['name'])
      if (container === null || !NAME.test(container)) {
        const what = container === null ? 'without a name' : `with the name "${container}"`
        findings.problem(object, path, `${nameOf(object)} has a container ${what}`, NAME_HINT)
        return []
      }
      if (seen.has(container)) {
        findings.problem(object, path, `${nameOf(object)} has two containers "${container}"`, null)
        return []
      }
      seen.add(container)
      return [{ container, fields: fieldsAt(value, []), path, sidecar }]
    }),
  )
}

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const NAME_HINT = 'names have small letters, digits and hyphens'

/** Pods that their own workload does not select would be made without end; the server refuses them. */
function checkSelector(
  object: ManifestObject,
  labels: Readonly<Record<string, string>>,
  findings: Findings,
): void {
  const kinds = ['Deployment.apps', 'StatefulSet.apps', 'DaemonSet.apps', 'ReplicaSet.apps']
  const selector = valueAt(object, ['spec', 'selector'])
  if (!kinds.includes(kindOf(object)) || selector === undefined || selects(selector, labels)) return
  const has = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  const hint = `its pods have ${has.length === 0 ? 'no labels' : has.join(', ')}`
  findings.problem(
    object,
    ['spec', 'selector'],
    `the selector of ${nameOf(object)} does not fit its own pods`,
    hint,
  )
}

/**
 * By the path of each container: the service that it is. A workload of one container gives it its own name, others the
 * container's; where these clash the workload's stands before it, then its kind.
 */
function nameServices(drafts: readonly Draft[], findings: Findings): ReadonlyMap<Path, string> {
  const all = drafts.flatMap((draft) =>
    draft.containers.map(({ container, path }) => {
      const { name } = draft.object.metadata
      const lone = draft.containers.length === 1
      const kind = draft.object.kind.toLowerCase()
      const long = lone ? `${name}-${kind}` : `${name}-${container}`
      return { draft, path, lone, choices: [lone ? name : container, long, `${name}-${kind}-${container}`] }
    }),
  )
  const names = new Map<Path, string>()
  const taken = new Set<string>()
  const first = count(all.map(({ choices }) => choices[0] ?? ''))
  // Those named after their workload choose first: their names are the most likely to be known.
  for (const { draft, path, lone, choices } of [...all].sort((a, b) => Number(b.lone) - Number(a.lone))) {
    const usable = lone || first.get(choices[0] ?? '') === 1 ? choices : choices.slice(1)
    const name = usable.find((choice) => !taken.has(choice))
    if (name === undefined) {
      const what = `two containers would be the service "${choices.at(-1) ?? ''}"`
      findings.problem(draft.object, path, what, 'give one of them another name')
      continue
    }
    taken.add(name)
    names.set(path, name)
  }
  return names
}

function count(words: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

const LONGEST_LABEL = 63

function labelsOf(drafts: readonly Draft[]): readonly string[] {
  const names = count(drafts.map(({ object }) => object.metadata.name))
  return drafts.map(({ object: { kind, metadata } }) => {
    const clash = (names.get(metadata.name) ?? 0) > 1
    const label = clash ? `${kind.toLowerCase()}.${metadata.name}` : metadata.name
    if (label.length <= LONGEST_LABEL) return label
    const sum = checksum(label)
    return `${label.slice(0, LONGEST_LABEL - sum.length - 1)}-${sum}`
  })
}

/** FNV-1a: tells names apart, and keeps no secret. */
function checksum(text: string): string {
  let hash = 0x81_1c_9d_c5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}

function replicasOf(object: ManifestObject): number {
  const kind = kindOf(object)
  const key = kind === 'Job.batch' ? 'parallelism' : 'replicas'
  const wanted = valueAt(object, ['spec', key])
  if (kind === 'Pod' || kind === 'DaemonSet.apps') return 1
  return typeof wanted === 'number' && Number.isInteger(wanted) && wanted >= 0 ? wanted : 1
}
