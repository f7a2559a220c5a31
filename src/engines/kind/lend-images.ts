import { fieldsAt, listAt, podTemplatePath, textAt } from '../../core/kubernetes-objects.js'
import type { ManifestObject, Workload } from '../../core/kubernetes.js'
import type { Project } from '../../core/project.js'

/**
 * The objects with the images that the Compose project builds in place of what the manifests call them: the container `migrate` runs
 * what Compose builds for its service `migrate`, and init containers that name the image of another container run that one's.
 */
export function lendImages(
  objects: readonly ManifestObject[],
  workloads: readonly Workload[],
  compose: Project,
): readonly ManifestObject[] {
  const everywhere = new Map<string, string>()
  const own = new Map(
    objects.map((object) => {
      const lent = lentTo(object, workloads, compose)
      for (const [image, built] of lent.byImage)
        if (!everywhere.has(image) || built === image) everywhere.set(image, built)
      return [object, lent]
    }),
  )
  return objects.map((object) => {
    const path = podTemplatePath(object)
    const lent = own.get(object)
    if (path === null || lent === undefined) return object
    const copy = structuredClone(object)
    for (const key of ['containers', 'initContainers']) {
      for (const container of listAt(copy, [...path, 'spec', key])) {
        const name = textAt(container, ['name']) ?? ''
        const image = textAt(container, ['image'])
        if (image === null) continue
        const built = lent.byContainer.get(name) ?? lent.byImage.get(image) ?? everywhere.get(image)
        if (built !== undefined) (container as { image: string }).image = built
      }
    }
    return copy
  })
}

interface Lent {
  readonly byContainer: ReadonlyMap<string, string>
  readonly byImage: ReadonlyMap<string, string>
}

/** What the Compose services of the names of its containers build. */
function lentTo(object: ManifestObject, workloads: readonly Workload[], compose: Project): Lent {
  const path = podTemplatePath(object)
  const workload = workloads.find(({ kind, name }) => kind === object.kind && name === object.metadata.name)
  const byContainer = new Map<string, string>()
  const byImage = new Map<string, string>()
  if (path === null || workload === undefined) return { byContainer, byImage }
  for (const key of ['containers', 'initContainers']) {
    for (const container of listAt(object, [...path, 'spec', key])) {
      const fields = fieldsAt(container, [])
      const name = textAt(fields, ['name']) ?? ''
      const image = textAt(fields, ['image'])
      const service = compose.services[workload.containers[name] ?? '']
      if (image === null || service === undefined || service.build === null) continue
      byContainer.set(name, service.image)
      byImage.set(image, service.image)
    }
  }
  return { byContainer, byImage }
}
