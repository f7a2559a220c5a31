import { fieldsAt, listAt, own, textAt, textsAt } from '../../../core/kubernetes-objects.js'
import type { Fields, Findings, ManifestObject } from '../../../core/kubernetes-objects.js'
import type { Workload } from '../../../core/kubernetes.js'
import type { Path } from '../../../core/yaml.js'
import { KUBE_ANNOTATION, KUBE_LABEL } from '../pods.js'
import { OBJECT_ANNOTATION } from './annotations.js'
import type { ContainerNote } from '../pods.js'
import { applyContainer, findImage } from './container.js'
import type { Decisions } from './decisions.js'
import { GATE_VOLUMES, isGateVolume } from './gate.js'
import { stableHash } from './hash.js'

export interface TemplateRequest {
  readonly object: ManifestObject
  readonly path: Path
  /** Null for a CronJob, whose pods are no services. */
  readonly workload: Workload | null
}

/** The template of a workload's pods as it is applied. */
export interface AppliedTemplate {
  readonly fields: Fields
  /** Of all that makes a pod another one, but for its images: those have ids of their own. */
  readonly configHash: string
  readonly hasGate: boolean
}

export function applyTemplate(
  request: TemplateRequest,
  decisions: Decisions,
  findings: Findings,
): AppliedTemplate {
  const { object, path, workload } = request
  const template = fieldsAt(object, path)
  const main = containers(request, 'containers', decisions, findings)
  const init = containers(request, 'initContainers', decisions, findings)
  const gated = new Set(main.gated)
  const spec = podSpec(fieldsAt(object, [...path, 'spec']), main.list, init.list, gated.size > 0)
  const metadata = {
    ...fieldsAt(template, ['metadata']),
    labels: podLabels(textsAt(template, ['metadata', 'labels']), workload, decisions),
    annotations: ownAnnotations(template),
  }
  const fields = { ...template, metadata, spec }
  const { labels, annotations } = metadata
  const configHash = stableHash({ labels, annotations, spec: withManifestImages(spec, decisions) })
  if (workload === null) return { fields: withNotes(fields, null), configHash, hasGate: false }
  const notes = notesOf(object, path, workload, { configHash, gated }, decisions)
  return { fields: withNotes(fields, notes), configHash, hasGate: gated.size > 0 }
}

interface AppliedContainers {
  readonly list: readonly unknown[]
  /** Names of those that wait. */
  readonly gated: readonly string[]
}

function containers(
  { object, path, workload }: TemplateRequest,
  key: 'containers' | 'initContainers',
  decisions: Decisions,
  findings: Findings,
): AppliedContainers {
  const list: unknown[] = []
  const gated: string[] = []
  for (const [index, value] of listAt(object, [...path, 'spec', key]).entries()) {
    const name = textAt(value, ['name'])
    const service = name === null ? undefined : own(workload?.containers, name)
    const applied = applyContainer(
      {
        object,
        path: [...path, 'spec', key, index],
        fields: fieldsAt(value, []),
        service: service ?? null,
        mayWait: key === 'containers',
      },
      decisions,
      findings,
    )
    list.push(applied.fields)
    if (applied.gated && name !== null) gated.push(name)
  }
  return { list, gated }
}

function podSpec(spec: Fields, main: readonly unknown[], init: readonly unknown[], hasGate: boolean): Fields {
  const { volumes: _volumes, containers: _main, initContainers: _init, ...rest } = spec
  const kept = listAt(spec, ['volumes']).filter((volume) => !isGateVolume(textAt(volume, ['name'])))
  const volumes = hasGate ? [...kept, ...GATE_VOLUMES] : kept
  return {
    ...rest,
    ...(init.length === 0 ? {} : { initContainers: init }),
    containers: main,
    ...(volumes.length === 0 ? {} : { volumes }),
  }
}

/** What the manifest says wins: a selector may want it so. */
function podLabels(
  labels: Readonly<Record<string, string>>,
  workload: Workload | null,
  { project }: Decisions,
): Readonly<Record<string, string>> {
  return {
    [KUBE_LABEL.managedBy]: 'devstack',
    ...labels,
    [KUBE_LABEL.project]: project,
    ...(workload === null ? {} : { [KUBE_LABEL.workload]: workload.label }),
  }
}

/** Annotations of ours; a bare pod has those of an object too. */
const WRITTEN: readonly string[] = [
  KUBE_ANNOTATION.containers,
  KUBE_ANNOTATION.worktree,
  ...Object.values(OBJECT_ANNOTATION),
]

function ownAnnotations(template: Fields): Readonly<Record<string, string>> {
  const annotations = textsAt(template, ['metadata', 'annotations'])
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !WRITTEN.includes(key)))
}

function notesOf(
  object: ManifestObject,
  path: Path,
  workload: Workload,
  made: { readonly configHash: string; readonly gated: ReadonlySet<string> },
  decisions: Decisions,
): Readonly<Record<string, ContainerNote>> {
  const all = ['containers', 'initContainers'].flatMap((key) => listAt(object, [...path, 'spec', key]))
  return Object.fromEntries(
    Object.entries(workload.containers).map(([container, service]): [string, ContainerNote] => {
      const fields = all.find((one) => textAt(one, ['name']) === container)
      const image = findImage(textAt(fields, ['image']), decisions)
      const note: ContainerNote = {
        service,
        configHash: made.configHash,
        imageId: image?.id ?? '',
        buildHash: image?.buildHash ?? null,
        gated: made.gated.has(container),
      }
      return [container, note]
    }),
  )
}

function withNotes(fields: Fields, notes: Readonly<Record<string, ContainerNote>> | null): Fields {
  const metadata = fieldsAt(fields, ['metadata'])
  const written = notes === null ? {} : { [KUBE_ANNOTATION.containers]: JSON.stringify(notes) }
  const annotations = { ...fieldsAt(metadata, ['annotations']), ...written }
  const { annotations: _none, ...rest } = metadata
  return {
    ...fields,
    metadata: Object.keys(annotations).length === 0 ? rest : { ...metadata, annotations },
  }
}

/** With each image by the first name that the manifests may have for it. */
function withManifestImages(spec: Fields, decisions: Decisions): Fields {
  const names = new Map<string, string>()
  for (const name of Object.keys(decisions.images).sort()) {
    const ref = decisions.images[name]?.ref
    if (ref !== undefined && !names.has(ref)) names.set(ref, name)
  }
  const rename = (list: readonly unknown[]): readonly unknown[] =>
    list.map((one) => {
      const image = textAt(one, ['image'])
      const name = image === null ? undefined : names.get(image)
      return name === undefined ? one : { ...(one as Fields), image: name }
    })
  return {
    ...spec,
    containers: rename(listAt(spec, ['containers'])),
    initContainers: rename(listAt(spec, ['initContainers'])),
  }
}
