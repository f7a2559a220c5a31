import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Emit } from '../../core/events.js'
import type { ImageChoice } from '../../core/images.js'
import type { ImageIndex } from './image-index.js'
import { LABEL } from './labels.js'
import { imageOf, servicesOf } from './model.js'
import type { ComposeBuild, ComposeModel } from './model.js'
import type { EngineContext } from './options.js'
import type { ServiceOverride } from './override.js'

/** What was decided about the images of a project; every record is by service unless it says otherwise. */
export interface ProjectImages {
  readonly choices: readonly ImageChoice[]
  /** References that replace the file's. */
  readonly refs: Readonly<Record<string, string>>
  readonly builds: Readonly<Record<string, NonNullable<ServiceOverride['build']>>>
  readonly buildHashes: Readonly<Record<string, string>>
  /** Whether the present image has a health check of its own. */
  readonly healthChecks: Readonly<Record<string, boolean>>
  /** By volume. */
  readonly volumeLabels: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export async function chooseProjectImages(
  _context: EngineContext,
  model: ComposeModel,
  present: ImageIndex,
  _purpose: 'up' | 'look',
  _emit: Emit,
  signal: AbortSignal,
): Promise<ProjectImages> {
  const choices = new Map<string, ImageChoice>()
  const buildHashes: Record<string, string> = {}
  const builds: Record<string, NonNullable<ServiceOverride['build']>> = {}
  for (const [name, service] of Object.entries(servicesOf(model))) {
    if (service.build != null) {
      const hash = await buildHash(service.build, signal)
      buildHashes[name] = hash
      builds[name] = { labels: { [LABEL.build]: hash } }
      continue
    }
    const wanted = imageOf(model, name)
    const there = present.find(wanted) !== undefined
    const known = choices.get(wanted)
    choices.set(wanted, {
      wanted,
      ref: wanted,
      action: there ? 'reuse' : 'pull',
      origin: there ? 'reused' : 'pulled',
      recipe: null,
      reason: there ? 'already here' : 'not here yet',
      reduced: null,
      services: [...(known?.services ?? []), name],
    })
  }
  return { choices: [...choices.values()], refs: {}, builds, buildHashes, healthChecks: {}, volumeLabels: {} }
}

async function buildHash(build: ComposeBuild, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(build))
  if (build.dockerfile_inline === undefined) {
    hash.update(await readFile(join(build.context, build.dockerfile ?? 'Dockerfile'), { signal }))
  }
  return hash.digest('hex')
}
