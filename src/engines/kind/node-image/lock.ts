import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** Long enough for a machine that was asleep, short enough for the next one after a process was killed. */
const STALE_MS = 15_000

/**
 * Does work that only one process of this user does at a time; the others wait for it.
 * @param waiting called once, where another one is at it
 */
export async function withCacheLock<T>(
  folder: string,
  waiting: () => void,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const release = await lock(folder, waiting, signal)
  try {
    return await work()
  } finally {
    // Another one has taken it where this process was asleep for long: then nothing is to be given back.
    await release().catch(() => undefined)
  }
}

async function lock(folder: string, waiting: () => void, signal: AbortSignal): Promise<() => Promise<void>> {
  const { default: lockfile } = await import('proper-lockfile')
  // Two at a time would only do the same work twice.
  const onCompromised = (): void => undefined
  const lockfilePath = join(folder, 'lock')
  for (let round = 0; ; round++) {
    signal.throwIfAborted()
    try {
      const options = { lockfilePath, realpath: false, stale: STALE_MS, update: 3_000, onCompromised }
      return await lockfile.lock(folder, options)
    } catch (error) {
      if ((error as { code?: string }).code !== 'ELOCKED') throw error
    }
    if (round === 0) waiting()
    await wait(300, undefined, { signal }).catch(() => undefined)
  }
}
