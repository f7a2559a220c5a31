import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { History } from '../orchestrator/ports.js'

/** How long each service took, in one small JSON file. A file that cannot be read counts as empty: it only orders starts. */
export function createHistory(path: string): History {
  return {
    async read() {
      try {
        return numbers(JSON.parse(await readFile(path, 'utf8')))
      } catch {
        return {}
      }
    },
    async write(usualMs) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const temporary = `${path}.${String(process.pid)}`
      await writeFile(temporary, JSON.stringify(usualMs), { mode: 0o600 })
      await rename(temporary, path)
    },
  }
}

function numbers(value: unknown): Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter((entry) => typeof entry[1] === 'number'))
}
