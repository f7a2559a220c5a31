import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import { isMissing } from './files.js'

type Environment = Readonly<Record<string, string | undefined>>

/** The folder of all our state: `$XDG_STATE_HOME/devstack`, by default `~/.local/state/devstack`. */
export function stateRoot(env: Environment): string {
  const wanted = env['XDG_STATE_HOME'] ?? ''
  // The specification says to ignore a relative one.
  if (wanted.startsWith('/')) return join(wanted, 'devstack')
  const home = env['HOME'] ?? ''
  if (home.startsWith('/')) return join(home, '.local', 'state', 'devstack')
  throw new DevstackError('MACHINE_UNSUPPORTED', 'there is no folder for the state of devstack', {
    cause: 'neither HOME nor XDG_STATE_HOME is set to an absolute path',
    hint: 'set HOME',
  })
}

/**
 * Makes the folder (0700), or checks that it is a folder, ours, and closed to others.
 * @throws DevstackError STATE_FOREIGN where somebody else owns it
 */
export async function ensurePrivateFolder(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  })
  const found = await lstat(folder)
  if (!found.isDirectory()) throw foreign(folder, 'it is not a folder')
  if (found.uid !== uid()) throw foreign(folder, ownedBy(found.uid))
  if ((found.mode & 0o077) !== 0) await chmod(folder, 0o700)
}

/**
 * Reads a file of ours; null where it is not there.
 * @throws DevstackError STATE_FOREIGN where somebody else owns it, or it is a link
 */
export async function readPrivateFile(file: string): Promise<string | null> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      const found = await handle.stat()
      if (found.uid !== uid()) throw foreign(file, ownedBy(found.uid))
      if (!found.isFile()) throw foreign(file, 'it is not a file')
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isMissing(error)) return null
    if (error instanceof Error && 'code' in error && error.code === 'ELOOP')
      throw foreign(file, 'it is a link')
    throw error
  }
}

/** Writes a file (0600) in one step: a reader sees the old text or the new, and so does a crash. */
export async function writePrivateFile(file: string, text: string): Promise<void> {
  const draft = `${file}.${String(process.pid)}.draft`
  await rm(draft, { force: true })
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
}

/** The user that state must belong to; 0 on a system without users. */
export function uid(): number {
  return process.getuid?.() ?? 0
}

function ownedBy(owner: number): string {
  return `it belongs to user ${String(owner)}, and this is user ${String(uid())}`
}

function foreign(path: string, cause: string): DevstackError {
  return new DevstackError('STATE_FOREIGN', `the state in ${path} is not yours`, {
    cause,
    hint: `if it is yours: sudo chown -R "$(id -u)" ${path}; or use another folder: XDG_STATE_HOME=DIR`,
  })
}
