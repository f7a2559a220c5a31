import type { ImageChoice } from '../../core/images.js'
import { familyConflict, volumeFamilyLabels } from '../images/families.js'
import type { LabelledImage } from '../images/families.js'
import { IMAGE_LABEL } from '../images/recipes.js'
import type { Recipe } from '../images/recipes.js'
import type { Docker } from './docker.js'
import type { ImageIndex } from './image-index.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { EngineContext } from './options.js'

type Labels = Readonly<Record<string, string>>

export interface ListedVolume {
  readonly Name: string
  readonly Labels: Labels | null
}

/** Labels of ours on a volume begin with this. */
const OWN = 'dev.devstack.'

/** Every volume of the engine: one of a fixed name may be there without the project's label. */
export async function listVolumes(docker: Docker, signal: AbortSignal): Promise<readonly ListedVolume[]> {
  const listed = await docker.get<{ readonly Volumes: readonly ListedVolume[] | null }>(
    '/volumes',
    {},
    signal,
  )
  return listed.Volumes ?? []
}

export interface VolumeRequest {
  readonly model: ComposeModel
  readonly choices: readonly ImageChoice[]
  readonly present: ImageIndex
  readonly volumes: readonly ListedVolume[]
  /** The services that are about to run. */
  readonly services: readonly string[]
  readonly purpose: 'up' | 'look'
}

/**
 * The labels to write into the override for each of the project's volumes: of an existing volume those it has, so that its
 * definition stays as it was; of a new one the family of the image that will fill it.
 * @throws DevstackError CONSENT_NEEDED where an image could not read the data that is there
 */
export async function readVolumes(
  context: EngineContext,
  request: VolumeRequest,
): Promise<Readonly<Record<string, Labels>>> {
  const own = Object.entries(request.model.volumes ?? {}).filter(([, volume]) => volume?.external !== true)
  if (own.length === 0) return {}
  const present = new Map(request.volumes.map((volume) => [volume.Name, volume.Labels ?? {}]))
  const recipes = await context.images.recipes()
  return Object.fromEntries(
    own.flatMap(([key, volume]): readonly (readonly [string, Labels])[] => {
      const name = volume?.name ?? `${context.options.projectName}_${key}`
      const there = present.get(name)
      const user = soleUser(request, recipes, key)
      if (there !== undefined && user !== null && request.purpose === 'up') {
        const conflict = familyConflict({ name, labels: there }, user)
        if (conflict !== null) throw conflict
      }
      const labels = there === undefined ? (user === null ? {} : volumeFamilyLabels(user)) : ownLabels(there)
      return Object.keys(labels).length === 0 ? [] : [[key, labels]]
    }),
  )
}

/** The image that fills a volume. A volume that services share (a socket's folder) is nobody's data. */
function soleUser(
  { model, choices, present, services }: VolumeRequest,
  recipes: readonly Recipe[],
  key: string,
): LabelledImage | null {
  const users = Object.entries(servicesOf(model)).filter(([, { volumes }]) =>
    (volumes ?? []).some(({ type, source }) => type === 'volume' && source === key),
  )
  const [first, ...others] = users
  if (first === undefined || others.length > 0) return null
  const [name, { image, build }] = first
  if (build != null || !services.includes(name)) return null
  const choice = choices.find(({ wanted, services }) => wanted === image && services.includes(name))
  if (choice === undefined) return null
  const recipe = recipes.find(({ ref }) => ref === choice.ref)
  const labels = present.find(choice.ref)?.labels ?? (recipe === undefined ? {} : recipeLabels(recipe))
  return { ref: choice.ref, labels }
}

/** What the image will carry once it is built. */
function recipeLabels({ name, family, major }: Recipe): Labels {
  return { [IMAGE_LABEL.image]: name, [IMAGE_LABEL.family]: family, [IMAGE_LABEL.major]: major }
}

function ownLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name.startsWith(OWN)))
}
