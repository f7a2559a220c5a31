import { DevstackError } from '../../core/error.js'
import { IMAGE_LABEL } from './recipes.js'
import { parseReference, repositoryName } from './reference.js'

/** An image as its reference and its labels tell. */
export interface LabelledImage {
  readonly ref: string
  readonly labels: Readonly<Record<string, string>>
}

/** Labels of a volume: which image wrote its data. */
const VOLUME_LABEL = {
  image: 'dev.devstack.volume-image',
  family: 'dev.devstack.volume-family',
  major: 'dev.devstack.volume-major',
} as const

const UPSTREAM = 'upstream'

interface Family {
  readonly image: string
  readonly family: string
  /** Null where the reference names no version. */
  readonly major: string | null
}

/** What makes data of one image unreadable for another. Programs that are not named keep none, or read each other's. */
const RULES: Readonly<Record<string, { readonly family: boolean; readonly major: 'same' | 'notOlder' }>> = {
  elasticsearch: { family: true, major: 'same' },
  postgres: { family: false, major: 'same' },
  redis: { family: false, major: 'notOlder' },
}

/** The labels for a volume that this image is going to fill. */
export function volumeFamilyLabels(image: LabelledImage): Readonly<Record<string, string>> {
  const { image: name, family, major } = familyOf(image)
  return {
    [VOLUME_LABEL.image]: name,
    [VOLUME_LABEL.family]: family,
    ...(major === null ? {} : { [VOLUME_LABEL.major]: major }),
  }
}

/**
 * Whether an image would open a folder that it cannot read: a question for the user, never an attempt.
 * Null where the data fits, or where the volume does not say who made it.
 */
export function familyConflict(
  volume: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
  image: LabelledImage,
): DevstackError | null {
  const made = volumeFamily(volume.labels)
  const now = familyOf(image)
  if (made === null || made.image !== now.image) return null
  const rule = RULES[now.image]
  if (rule === undefined) return null
  const familyDiffers = rule.family && made.family !== now.family
  if (!familyDiffers && !majorsConflict(made.major, now.major, rule.major)) return null
  return new DevstackError(
    'CONSENT_NEEDED',
    `the volume ${volume.name} holds data that ${image.ref} cannot read`,
    {
      cause: `it was made by ${describe(made)}, and this run would open it with ${describe(now)}`,
      hint: [
        'keep the data: use the image that made it (images.source in devstack.yaml)',
        'or start anew, which deletes the data: devstack down --volumes, then devstack up',
      ].join('\n'),
    },
  )
}

function volumeFamily(labels: Readonly<Record<string, string>>): Family | null {
  const image = labels[VOLUME_LABEL.image]
  const family = labels[VOLUME_LABEL.family]
  return image === undefined || family === undefined
    ? null
    : { image, family, major: labels[VOLUME_LABEL.major] ?? null }
}

function familyOf(image: LabelledImage): Family {
  const reference = parseReference(image.ref)
  const name = image.labels[IMAGE_LABEL.image] ?? repositoryName(reference).split('/').at(-1) ?? ''
  const family = image.labels[IMAGE_LABEL.family] ?? UPSTREAM
  const major = image.labels[IMAGE_LABEL.major] ?? /^v?(\d+)/.exec(reference.tag ?? '')?.[1] ?? null
  return { image: name, family, major }
}

function majorsConflict(made: string | null, now: string | null, rule: 'same' | 'notOlder'): boolean {
  if (made === null || now === null) return false
  const difference = Number.parseInt(now, 10) - Number.parseInt(made, 10)
  return rule === 'same' ? difference !== 0 : difference < 0
}

function describe({ image, family, major }: Family): string {
  const where = family === UPSTREAM ? 'the upstream image' : 'the image built on this machine'
  return `${image}${major === null ? '' : ` ${major}`} of ${where}`
}
