import type { KubernetesProject, ManifestObject } from '../../core/kubernetes.js'
import { fieldsAt, listAt, podTemplatePath, textAt } from '../../core/kubernetes-objects.js'
import type { LocateObject } from '../../core/kubernetes.js'
import type { CommandOverride, OwnCommand } from '../compose/options.js'
import { indexImages } from '../compose/image-index.js'
import { LABEL } from '../compose/labels.js'
import type { SuppliedImage } from './images/supply.js'
import type { LocalImages } from './local-images.js'
import { podCommand } from './objects/container.js'
import type { Decisions, ImageDecision } from './objects/decisions.js'
import { toApply } from './objects/to-apply.js'
import type { Desired } from './objects/to-apply.js'
import type { KindContext } from './options.js'

/** The manifests and what was read of them and beside them. */
export interface ReadStack {
  readonly objects: readonly ManifestObject[]
  readonly locate: LocateObject
  readonly model: KubernetesProject
  readonly local: LocalImages
  /** By service: what its container runs instead of what the manifest says. */
  readonly commands: Readonly<Record<string, CommandOverride | null>>
}

/** What is to be in the cluster, with the images as they are now. */
export interface DesiredStack {
  readonly desired: Desired
  readonly decisions: Decisions
  readonly images: readonly SuppliedImage[]
  /** References that this machine does not have yet. */
  readonly missing: readonly string[]
}

interface InspectedImage {
  readonly Config?: {
    readonly Entrypoint?: readonly string[] | null
    readonly Cmd?: readonly string[] | null
    readonly Labels?: Readonly<Record<string, string>> | null
  } | null
}

/** Decides what is applied. Changes nothing anywhere. */
export async function desire(
  context: KindContext,
  stack: ReadStack,
  signal: AbortSignal,
): Promise<DesiredStack> {
  const { docker, options, supply } = context
  const { model, local, objects, locate, commands } = stack
  const present = indexImages(await context.images.engine.images(signal))
  const missing: string[] = []
  const needed = new Map<string, SuppliedImage>()
  const need = (ref: string): SuppliedImage | null => {
    const image = present.find(ref)
    if (image === undefined) {
      missing.push(ref)
      return null
    }
    const one = { local: ref, id: image.id, node: supply.reference(ref, image) }
    needed.set(ref, one)
    return one
  }
  const decided = await Promise.all(
    [...local.refs].map(async ([name, ref]): Promise<readonly [string, ImageDecision][]> => {
      const image = need(ref)
      if (image === null) return []
      const { Config } = await docker.get<InspectedImage>(
        `/images/${encodeURIComponent(image.id)}/json`,
        {},
        signal,
      )
      const decision: ImageDecision = {
        ref: image.node,
        pullPolicy: supply.pullPolicy,
        id: image.id,
        buildHash: Config?.Labels?.[LABEL.build] ?? null,
        config: { entrypoint: Config?.Entrypoint ?? [], command: Config?.Cmd ?? [] },
      }
      return [[name, decision]]
    }),
  )
  const { services } = model.project
  const watched = new Set(
    Object.values(services).flatMap(({ name, watch, oneShot }) =>
      watch.length > 0 && !oneShot ? [name] : [],
    ),
  )
  if (watched.size > 0) need(local.agent)
  const decisions: Decisions = {
    project: options.compose.projectName,
    namespace: options.namespace,
    worktree: options.compose.folder,
    workloads: model.workloads,
    images: Object.fromEntries(decided.flat()),
    commands,
    watched,
    gate: (service) => watched.has(service),
    locate,
    isTeamCluster: options.kind === 'kubernetes',
  }
  const desired = toApply(objects, decisions)
  return { desired, decisions, images: [...needed.values()], missing }
}

/** A container of the manifests. */
export interface WrittenContainer {
  readonly workloadKind: string
  readonly workloadName: string
  readonly container: string
  readonly image: string
  readonly own: OwnCommand
}

/** Every container of every pod template, init containers too. */
export function writtenContainers(objects: readonly ManifestObject[]): readonly WrittenContainer[] {
  return objects.flatMap((object) => {
    const path = podTemplatePath(object)
    if (path === null) return []
    return ['containers', 'initContainers'].flatMap((key) =>
      listAt(object, [...path, 'spec', key]).flatMap((value): readonly WrittenContainer[] => {
        const fields = fieldsAt(value, [])
        const container = textAt(fields, ['name'])
        const image = textAt(fields, ['image'])
        if (container === null || image === null) return []
        const { command, args } = podCommand(fields)
        const own = { entrypoint: command, command: args }
        const { kind, metadata } = object
        return [{ workloadKind: kind, workloadName: metadata.name, container, image, own }]
      }),
    )
  })
}
