import { readdir } from 'node:fs/promises'
import type { LivePreset } from '../orchestrator/ports.js'

/** The files of a folder of devstack's own, those in its folders too, whose names end with `ending`: each to its place below `target`. */
export function supportFrom(folder: string, ending: string, target: string): LivePreset['support'] {
  return async () => {
    const files = await readdir(folder, { recursive: true })
    return files
      .filter((file) => file.endsWith(ending))
      .sort()
      .map((file) => ({
        type: 'write',
        source: `${folder}/${file}`,
        target: `${target}/${file.replaceAll('\\', '/')}`,
        mode: 0o644,
      }))
  }
}
