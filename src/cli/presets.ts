import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Service } from '../core/project.js'
import type { WatchEntry } from '../core/watch.js'
import type { BuildPlace, CommandOverride, OwnCommand } from '../engines/compose/options.js'
import type { LivePreset } from '../orchestrator/ports.js'
import { commandOf, wrapCommand } from '../presets/command.js'
import { livePreset } from '../presets/live.js'
import { TELLING_FILES, type PresetName } from '../presets/preset.js'
import { presetRules } from '../presets/presets.js'
import { restartOnly } from '../presets/restart-only.js'
import { workdirOf } from '../presets/workdir.js'
import type { Server } from './io.js'

/** Reads a service's source folder and asks its preset for watch rules. Without a WORKDIR it cannot tell where files go: none. */
export async function rulesOfPreset(preset: PresetName, build: BuildPlace): Promise<readonly WatchEntry[]> {
  const { context: folder, target: stage } = build
  const text = await readDockerfile(build)
  const target = text === null ? null : workdirOf(text, stage)
  if (target === null) return []
  const files = await readdir(folder)
  const telling = files.filter((file) => TELLING_FILES.includes(file))
  const texts = await Promise.all(
    telling.map(async (file) => [file, await readFile(join(folder, file), 'utf8')] as const),
  )
  return presetRules(preset, {
    view: { files, texts: Object.fromEntries(texts), image: null },
    folder,
    target,
  })
}

/**
 * What a service's containers run so that its preset can reload them; null where they are left as they are: no such preset,
 * or neither the Compose file nor the Dockerfile says what they run.
 */
export async function wrappedCommand(
  preset: PresetName | undefined,
  place: BuildPlace | null,
  own: OwnCommand,
): Promise<CommandOverride | null> {
  if (preset !== 'flask') return null
  const text = place === null ? null : await readDockerfile(place)
  const image = text === null ? null : commandOf(text, place?.target ?? null)
  const entrypoint = own.entrypoint ?? image?.entrypoint ?? []
  // An entrypoint of the Compose file takes the image's command away.
  const command = own.command ?? (own.entrypoint === null ? image?.command : null) ?? []
  const words = wrapCommand(preset, [...entrypoint, ...command])
  if (words === null) return null
  // Where no file names an entrypoint, an image from outside may have one, and it starts the words itself.
  const isKnown = own.entrypoint !== null || (image?.entrypoint ?? null) !== null
  return isKnown ? { entrypoint: words, command: [] } : { command: words }
}

/** What live update knows of a service. `support`: folder of devstack's own files for containers. */
export function presetOf(
  service: Pick<Service, 'preset'>,
  {
    support,
    server,
    wrapped,
  }: { readonly support: string; readonly server: Server; readonly wrapped: boolean },
): LivePreset | null {
  const { preset } = service
  if (preset === null) return null
  if (preset !== 'flask' || wrapped) return livePreset(preset, { folder: support })
  return server === 'production'
    ? restartOnly("production's server", 'asked for with --server production')
    : restartOnly('its own server', 'what its container runs is not known: neither file names a command')
}

async function readDockerfile({ context, dockerfile }: BuildPlace): Promise<string | null> {
  return await readFile(resolve(context, dockerfile), 'utf8').catch(() => null)
}
