import type { ProjectImages } from './image-choice.js'
import type { ComposeModel } from './model.js'
import type { EngineContext } from './options.js'

interface ListedVolume {
  readonly Name: string
  readonly Labels: Readonly<Record<string, string>> | null
}

/** Labels that tell which image family made a volume begin with this. */
const OWN = 'dev.devstack.'

/**
 * The labels to write into the override for each of the project's volumes: of an existing volume those it has, so that its
 * definition stays as it was; of a new one the family of the image that will fill it.
 */
export async function readVolumes(
  context: EngineContext,
  model: ComposeModel,
  images: ProjectImages,
  signal: AbortSignal,
): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const own = Object.entries(model.volumes ?? {}).filter(([, volume]) => volume?.external !== true)
  if (own.length === 0) return {}
  // Without a filter: a volume of a fixed name may be there without the project's label.
  const { Volumes } = await context.docker.get<{ readonly Volumes: readonly ListedVolume[] | null }>(
    '/volumes',
    {},
    signal,
  )
  const present = new Map((Volumes ?? []).map((volume) => [volume.Name, volume.Labels ?? {}]))
  return Object.fromEntries(
    own.flatMap(([key, volume]) => {
      const there = present.get(volume?.name ?? `${context.options.projectName}_${key}`)
      const labels = there === undefined ? (images.volumeLabels[key] ?? {}) : ownLabels(there)
      return Object.keys(labels).length === 0 ? [] : [[key, labels]]
    }),
  )
}

function ownLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name.startsWith(OWN)))
}
