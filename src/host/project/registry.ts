import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from './state.js'

/** A folder and the Compose project name that it claimed. */
export interface Claim {
  /** The Compose project name. */
  readonly name: string
  /** The name it asked for: another one than `name` for all worktrees but the first. */
  readonly wanted: string
  /** The state folder's name: it stays when the folder moves. */
  readonly key: string
  /** Absolute real path. */
  readonly folder: string
  /** Inode and time of birth: tell a folder that moved from another one. */
  readonly identity: string
}

const SCHEMA = 'devstack.projects/1'

function registryFile(root: string): string {
  return join(root, 'projects.json')
}

/** Every claim; none where there is no registry yet. */
export async function readClaims(root: string): Promise<readonly Claim[]> {
  const file = registryFile(root)
  const text = await readPrivateFile(file)
  if (text === null) return []
  const claims = parse(text)
  if (claims !== null) return claims
  throw new DevstackError('CONFIG_INVALID', `the registry of projects ${file} cannot be read`, {
    cause: 'it is damaged, or a newer devstack wrote it',
    hint: `look at it, or remove it: names are then claimed anew, first come, first served`,
  })
}

function parse(text: string): readonly Claim[] | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('schema' in value && 'projects' in value))
      return null
    if (value.schema !== SCHEMA || !Array.isArray(value.projects)) return null
    return value.projects.every(isClaim) ? value.projects : null
  } catch {
    return null
  }
}

function isClaim(value: unknown): value is Claim {
  if (typeof value !== 'object' || value === null) return false
  const texts: readonly string[] = ['name', 'wanted', 'key', 'folder', 'identity']
  return texts.every((key) => typeof (value as Record<string, unknown>)[key] === 'string')
}

/** Changes the claims while nobody else does. `change` sees what is there under the lock. */
export async function changeClaims<T>(
  root: string,
  change: (claims: readonly Claim[]) => Promise<{ readonly claims: readonly Claim[]; readonly result: T }>,
): Promise<T> {
  await ensurePrivateFolder(root)
  const { default: lockfile } = await import('proper-lockfile')
  let lost: Error | null = null
  const release = await lockfile
    .lock(root, {
      lockfilePath: join(root, 'projects.lock'),
      stale: 10_000,
      retries: { retries: 60, minTimeout: 20, maxTimeout: 250, factor: 1.5, randomize: true },
      onCompromised: (error) => {
        lost = error
      },
    })
    .catch((error: unknown) => {
      throw locked(root, error)
    })
  try {
    const before = await readClaims(root)
    const { claims, result } = await change(before)
    // Asleep for longer than the lock lives: somebody else may be writing.
    if (lost !== null) throw locked(root, lost)
    if (claims !== before) {
      const text = `${JSON.stringify({ schema: SCHEMA, projects: claims }, null, 2)}\n`
      await writePrivateFile(registryFile(root), text)
    }
    return result
  } finally {
    if (lost === null) await release()
  }
}

function locked(root: string, error: unknown): DevstackError {
  return new DevstackError('LOCKED', 'the registry of projects is locked', {
    cause: error instanceof Error ? error.message : String(error),
    hint: `try again; if no devstack runs, remove ${join(root, 'projects.lock')}`,
  })
}
