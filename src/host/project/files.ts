import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** In Compose's own order of preference. */
const COMPOSE_NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']
const OVERRIDE_NAMES = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
]

/** The first is what `init` writes. */
export const CONFIG_NAMES = ['devstack.yaml', 'devstack.yml'] as const

/** The files of one folder that matter to us. */
export interface FolderFiles {
  /** Absolute path of devstack.yaml. */
  readonly config: string | null
  /** The Compose file and its override, as Compose picks them; empty where there is none. */
  readonly compose: readonly string[]
  readonly hasEnvFile: boolean
}

/** Looks into a folder once. One that cannot be read is like an empty one: the search goes on above it. */
export async function folderFiles(folder: string): Promise<FolderFiles> {
  const names = new Set(await readdir(folder).catch((): string[] => []))
  const first = (wanted: readonly string[]) => wanted.filter((name) => names.has(name)).slice(0, 1)
  const main = first(COMPOSE_NAMES)
  const compose = main.length === 0 ? [] : [...main, ...first(OVERRIDE_NAMES)]
  const [config] = first(CONFIG_NAMES)
  return {
    config: config === undefined ? null : join(folder, config),
    compose: compose.map((name) => join(folder, name)),
    hasEnvFile: names.has('.env'),
  }
}

/** True for the error of a file or folder that is not there. */
export function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return code === 'ENOENT' || code === 'ENOTDIR'
}

const MAX_BYTES = 1_048_576

/** The text of a file that people write; a reason where it is something else, such as a pipe, which may never end. */
export async function readSmallFile(
  file: string,
): Promise<{ readonly text: string } | { readonly refused: string }> {
  try {
    const about = await stat(file)
    if (!about.isFile()) return { refused: 'it is not a file' }
    if (about.size > MAX_BYTES) {
      return { refused: `it has ${String(about.size)} bytes; more than 1 MB are not read` }
    }
    return { text: await readFile(file, 'utf8') }
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) }
  }
}
