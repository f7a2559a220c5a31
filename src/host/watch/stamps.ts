import { lstatSync, readdirSync, statSync, type Dirent, type Stats } from 'node:fs'

/** What tells by stat that a file is another one than before. */
export interface Stamp {
  readonly modified: number
  readonly changed: number
  readonly size: number
  readonly inode: number
}

/** Milliseconds with their fraction: a double holds a quarter of a microsecond, finer than any file system's clock ticks. */
export function stampOf(stats: Stats): Stamp {
  return { modified: stats.mtimeMs, changed: stats.ctimeMs, size: stats.size, inode: stats.ino }
}

export function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.modified === b.modified && a.changed === b.changed && a.size === b.size && a.inode === b.inode
}

/** Null where it is not there or cannot be looked at. A link is not followed. */
export function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null
  } catch {
    return null
  }
}

/** As {@link lookAt}, through links: for what a rule names. */
export function lookThrough(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null
  } catch {
    return null
  }
}

/** The folder's entries; null where it is none, or cannot be read. */
export function readFolder(folder: string): readonly Dirent[] | null {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return null
  }
}

/** Node puts U+FFFD in the place of bytes that are no UTF-8. A file can also really be called so. */
const REPLACEMENT = '\uFFFD'

/** Whether the folder has an entry that Node calls `name` though its bytes say something else. */
export function isUndecodable(folder: string, name: string): boolean {
  if (!name.includes(REPLACEMENT)) return false
  try {
    return readdirSync(folder, { encoding: 'buffer' }).some(
      (bytes) => bytes.toString() === name && !bytes.equals(Buffer.from(name)),
    )
  } catch {
    return false
  }
}

/** Lets other work in between once some milliseconds have passed: a long look must not hold up a save. */
export interface Breath {
  /** Null where it is not time yet. */
  take(): Promise<void> | null
}

const BREATH_MS = 4

export function createBreath(signal: AbortSignal): Breath {
  let last = performance.now()
  return {
    take: () => {
      if (performance.now() - last < BREATH_MS) return null
      return new Promise((resolve, reject) => {
        setImmediate(() => {
          last = performance.now()
          if (signal.aborted) reject(signal.reason as Error)
          else resolve()
        })
      })
    },
  }
}
