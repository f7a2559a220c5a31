import { fieldsAt, listAt, own, podTemplatePath, textAt } from '../../../core/kubernetes-objects.js'
import type { ManifestObject } from '../../../core/kubernetes-objects.js'
import type { Workload } from '../../../core/kubernetes.js'
import type { Path } from '../../../core/yaml.js'
import type { OwnCommand } from '../../compose/options.js'
import { podCommand } from './container.js'

/** An image that manifests name. */
export interface WantedImage {
  /** As it is written. */
  readonly image: string
  /** The services in whose pods it runs, as theirs or for an init container. */
  readonly services: readonly string[]
  /** Where it is written first. */
  readonly object: ManifestObject
  readonly path: Path
}

/** The images of all containers, each once. */
export function wantedImages(
  objects: readonly ManifestObject[],
  workloads: readonly Workload[],
): readonly WantedImage[] {
  const found = new Map<string, WantedImage>()
  for (const { object, path, image, services } of containersOf(objects, workloads)) {
    if (image === null) continue
    const known = found.get(image) ?? { image, services: [], object, path: [...path, 'image'] }
    found.set(image, { ...known, services: [...new Set([...known.services, ...services])] })
  }
  return [...found.values()]
}

/** By service: what its manifest says that it runs. */
export function ownCommands(
  objects: readonly ManifestObject[],
  workloads: readonly Workload[],
): Readonly<Record<string, OwnCommand>> {
  return Object.fromEntries(
    containersOf(objects, workloads).flatMap(({ object, path, service }) => {
      const { command, args } = podCommand(fieldsAt(object, path))
      return service === null ? [] : [[service, { entrypoint: command, command: args }] as const]
    }),
  )
}

interface Found {
  readonly object: ManifestObject
  readonly path: Path
  readonly image: string | null
  readonly service: string | null
  readonly services: readonly string[]
}

function containersOf(objects: readonly ManifestObject[], workloads: readonly Workload[]): readonly Found[] {
  return objects.flatMap((object) => {
    const template = podTemplatePath(object)
    if (template === null) return []
    const { kind, metadata } = object
    const workload = workloads.find((one) => one.kind === kind && one.name === metadata.name)
    return ['containers', 'initContainers'].flatMap((key) =>
      listAt(object, [...template, 'spec', key]).map((fields, index): Found => {
        const service = own(workload?.containers, textAt(fields, ['name']) ?? '') ?? null
        const services = service === null ? (workload?.services ?? []) : [service]
        const path = [...template, 'spec', key, index]
        return { object, path, image: textAt(fields, ['image']), service, services }
      }),
    )
  })
}
