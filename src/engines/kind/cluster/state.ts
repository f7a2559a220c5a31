import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { DevstackError } from '../../../core/error.js'

/** What is written down of a cluster of ours, before kind begins and after it is done. */
export interface ClusterRecord {
  readonly name: string
  /** `making`: kind was started and has not yet ended; what it has made so far is ours, and of no use. */
  readonly phase: 'making' | 'made'
  /** Milliseconds since the epoch: no container of an older time was made by us. */
  readonly since: number
  readonly image: string
  /** Of the text of its configuration. */
  readonly configHash: string
  /** Its node containers; empty while it is made. */
  readonly nodes: readonly { readonly id: string; readonly name: string }[]
  /** Id of the network that came with it, to be taken away with it; null where it was there before. */
  readonly network: string | null
}

/** Places of a cluster of ours on this machine. */
export interface ClusterPlaces {
  readonly folder: string
  readonly kubeconfig: string
  readonly record: string
  /** What was found out about its nodes: container id -> sha256 of its CA. */
  readonly proven: string
  readonly lock: string
}

const SCHEMA = 'devstack.kind/1'

export function placesOf(stateRoot: string, name: string): ClusterPlaces {
  const folder = join(stateRoot, 'kind', name)
  return {
    folder,
    kubeconfig: join(folder, 'kubeconfig'),
    record: join(folder, 'cluster.json'),
    proven: join(folder, 'proven.json'),
    // Beside the folder: it stays while the folder is removed.
    lock: join(stateRoot, 'kind', `${name}.lock`),
  }
}

/**
 * The folder, ours and closed to others.
 * @throws DevstackError STATE_FOREIGN
 */
async function ensureFolder({ folder }: ClusterPlaces): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const one of [dirname(folder), folder]) {
    const found = await lstat(one)
    if (!found.isDirectory() || found.uid !== process.getuid?.()) {
      throw new DevstackError('STATE_FOREIGN', `the state in ${one} is not yours`, {
        cause: found.isDirectory() ? `it belongs to user ${String(found.uid)}` : 'it is not a folder',
        hint: 'use another folder: XDG_STATE_HOME=DIR',
      })
    }
    if ((found.mode & 0o077) !== 0) await chmod(one, 0o700)
  }
}

/** The text of a file that is ours, 0600 and no link; null where there is none; a string why it is not taken. */
export async function readOwn(file: string): Promise<{ text: string } | { refused: string } | null> {
  let handle
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (code === 'ELOOP') return { refused: `${file} is a link` }
    if (code === 'EACCES') return { refused: `${file} may not be read` }
    throw error
  }
  try {
    // Of the open file, and not of its name: it cannot be changed for another one in between.
    const found = await handle.stat()
    const mode = found.mode & 0o777
    if (!found.isFile()) return { refused: `${file} is not a file` }
    if (found.uid !== process.getuid?.()) return { refused: `${file} belongs to user ${String(found.uid)}` }
    if (mode !== 0o600) return { refused: `${file} has mode ${mode.toString(8)} and not 600` }
    return { text: await handle.readFile('utf8') }
  } finally {
    await handle.close()
  }
}

/** Writes a file, 0600, whole or not at all. */
export async function writeOwn(file: string, text: string): Promise<void> {
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

/** Null where there is none, or none that can be read: then no cluster of that name is ours. */
export async function readRecord({ record }: ClusterPlaces): Promise<ClusterRecord | null> {
  const found = await readOwn(record)
  if (found === null || 'refused' in found) return null
  try {
    const value = JSON.parse(found.text) as ClusterRecord & { readonly schema?: string }
    return value.schema === SCHEMA ? value : null
  } catch {
    return null
  }
}

export async function writeRecord({ record }: ClusterPlaces, value: ClusterRecord): Promise<void> {
  await writeOwn(record, `${JSON.stringify({ schema: SCHEMA, ...value }, null, 2)}\n`)
}

/**
 * Runs `work` while no other process works on this cluster; waits for it to end, and `waiting` is called once where that is so.
 * @throws DevstackError LOCKED where the lock was lost half-way
 */
export async function withLock<T>(
  places: ClusterPlaces,
  waiting: () => void,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  await ensureFolder(places)
  const lost = new AbortController()
  const release = await lock(places, waiting, signal, lost)
  try {
    // Who had the lock may have removed it.
    await ensureFolder(places)
    return await work(AbortSignal.any([signal, lost.signal]))
  } finally {
    if (!lost.signal.aborted) await release()
  }
}

async function lock(
  { folder, lock: lockfilePath }: ClusterPlaces,
  waiting: () => void,
  signal: AbortSignal,
  lost: AbortController,
): Promise<() => Promise<void>> {
  const { default: lockfile } = await import('proper-lockfile')
  const onCompromised = (error: Error): void => {
    lost.abort(new DevstackError('LOCKED', 'the cluster is locked', { cause: error.message }))
  }
  for (let round = 0; ; round++) {
    signal.throwIfAborted()
    try {
      const options = { lockfilePath, realpath: false, stale: 10_000, update: 2_000, onCompromised }
      return await lockfile.lock(folder, options)
    } catch (error) {
      if ((error as { code?: string }).code !== 'ELOCKED') throw error
    }
    if (round === 0) waiting()
    await wait(150, undefined, { signal }).catch(() => undefined)
  }
}
