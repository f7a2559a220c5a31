import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { WatchEntry } from '../core/watch.js'
import type { BuildPlace } from '../engines/compose/options.js'
import { TELLING_FILES, type PresetName } from '../presets/preset.js'
import { presetRules } from '../presets/presets.js'
import { workdirOf } from '../presets/workdir.js'

/** Reads a service's source folder and asks its preset for watch rules. Without a WORKDIR it cannot tell where files go: none. */
export async function rulesOfPreset(preset: PresetName, build: BuildPlace): Promise<readonly WatchEntry[]> {
  const { context: folder, dockerfile, target: stage } = build
  const text = await readFile(resolve(folder, dockerfile), 'utf8').catch(() => null)
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
