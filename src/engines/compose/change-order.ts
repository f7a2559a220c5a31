import { posix } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { FileChange } from '../../orchestrator/ports.js'

/** What is put into a container. */
export type Write = Exclude<FileChange, { type: 'delete' }>

/** Deletes go first: a rename is a delete, then a write. */
export interface OrderedChanges {
  readonly deletes: readonly string[]
  readonly writes: readonly Write[]
}

/**
 * The last word about each path, and about each folder above it, counts.
 * @throws DevstackError DELIVERY_FAILED for a target that could mean another place than it says
 */
export function orderChanges(changes: readonly FileChange[]): OrderedChanges {
  const decided = new Map<string, FileChange['type']>()
  /** Folders that later writes need. */
  const needed = new Set<string>()
  /** Files that were to stand where such a folder is. */
  const replaced = new Set<string>()
  const deletes: string[] = []
  const writes: Write[] = []
  for (const change of changes.map(checkTarget).toReversed()) {
    const { type, target } = change
    const above = aboveOf(target)
    if (type === 'delete') {
      if (decided.has(target) || above.some((folder) => decided.get(folder) === 'delete')) continue
      decided.set(target, type)
      deletes.push(target)
      continue
    }
    // What was written into a folder that is deleted, or made a file, after it is gone.
    const lost = above.some((folder) => decided.has(folder) || replaced.has(folder))
    if (needed.has(target)) replaced.add(target)
    else if (!lost && !decided.has(target)) {
      decided.set(target, type)
      writes.push(change)
    }
    for (const folder of above) needed.add(folder)
  }
  return { deletes: deletes.toReversed(), writes: writes.toReversed() }
}

function aboveOf(target: string): readonly string[] {
  const folders: string[] = []
  for (let folder = posix.dirname(target); folder !== '/'; folder = posix.dirname(folder))
    folders.push(folder)
  return folders
}

/** The path is taken as it is written; anything that could mean another place is refused. */
function checkTarget(change: FileChange): FileChange {
  const { target } = change
  const clean = posix.normalize(target)
  if (target.includes('\0') || !target.startsWith('/') || clean !== target || target.endsWith('/')) {
    throw new DevstackError('DELIVERY_FAILED', `${JSON.stringify(target)} is no place for a file`, {
      cause: 'a target is an absolute path without "." and ".."',
    })
  }
  return change
}
