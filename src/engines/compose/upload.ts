import { posix } from 'node:path'
import { DevstackError } from '../../core/error.js'
import { isWithin } from '../../core/update.js'
import type { Delivery } from '../../orchestrator/ports.js'
import { packFiles } from './archive.js'
import type { Entry, PackedFiles } from './archive.js'
import type { Write } from './change-order.js'
import type { DeliveryTask } from './deliver.js'
import { isNotFound, isUnreachable } from './docker.js'

/** Where so many files are refused one by one, it is not the files. */
const MOST_REFUSED = 8

/** What is done with the files of one delivery so far. */
interface Progress {
  readonly folders: readonly string[]
  readonly written: Record<string, string>
  readonly failed: { readonly target: string; readonly cause: string }[]
  /** The time that each target got, and what its source's was: one that is sent again gets the same. */
  readonly times: Map<string, { readonly sourceMs: number | null; readonly time: number }>
  bytes: number
  refused: number
}

/**
 * Everything in one upload; only where the engine refuses that, the files it refuses are found by halves, and the rest is
 * delivered.
 * @param missing folders to make, outermost first
 * @param deleted targets that the same delivery deleted: their folders make room where nothing else is in them
 */
export async function uploadWrites(
  task: DeliveryTask,
  missing: readonly string[],
  writes: readonly Write[],
  deleted: readonly string[],
): Promise<Delivery> {
  const progress: Progress = {
    folders: missing,
    written: {},
    failed: [],
    times: new Map(),
    bytes: 0,
    refused: 0,
  }
  for (const [base, some] of byBase(task, progress, writes))
    await uploadSome(task, progress, base, some, deleted)
  const { bytes, written, failed } = progress
  return { bytes, written, failed }
}

/** The engine unpacks below a volume also where the root file system is read-only. */
function byBase(
  { facts, instance }: DeliveryTask,
  progress: Progress,
  writes: readonly Write[],
): ReadonlyMap<string, readonly Write[]> {
  const { volumes } = facts
  if (writes.length === 0) return new Map()
  if (volumes === null) return new Map([['/', writes]])
  const groups = new Map<string, Write[]>()
  for (const write of writes) {
    const base = volumes.find((volume) => isWithin(volume, write.target))
    if (base === undefined) progress.failed.push({ target: write.target, cause: READ_ONLY })
    else groups.set(base, [...(groups.get(base) ?? []), write])
  }
  if (groups.size > 0) return groups
  throw new DevstackError('DELIVERY_FAILED', `could not deliver to ${instance.service}`, {
    cause: READ_ONLY,
    hint: 'use a rebuild rule instead of sync, or take read_only out of the compose file',
  })
}

const READ_ONLY = 'the root file system of the container is read-only'

async function uploadSome(
  task: DeliveryTask,
  progress: Progress,
  base: string,
  writes: readonly Write[],
  deleted: readonly string[],
): Promise<void> {
  const { facts, signal } = task
  try {
    const packed = await put(task, base, progress, writes)
    progress.bytes += packed.result.bytes
    Object.assign(progress.written, packed.result.written)
    progress.failed.push(...packed.result.failed)
    for (const folder of neededFolders(progress.folders, writes))
      facts.there.set(
        folder,
        posix.join(facts.there.get(posix.dirname(folder)) ?? '/', posix.basename(folder)),
      )
  } catch (error) {
    signal.throwIfAborted()
    if (!concernsFiles(error)) throw error
    if (writes.length === 1) return await uploadAlone(task, progress, base, writes, deleted, error)
    const middle = Math.ceil(writes.length / 2)
    await uploadSome(task, progress, base, writes.slice(0, middle), deleted)
    await uploadSome(task, progress, base, writes.slice(middle), deleted)
  }
}

/** A file that the engine refuses: a folder may be in its way, in which nothing is left but folders. */
async function uploadAlone(
  task: DeliveryTask,
  progress: Progress,
  base: string,
  writes: readonly Write[],
  deleted: readonly string[],
  error: unknown,
): Promise<void> {
  const [{ target }] = writes as readonly [Write]
  const { tools, instance, signal } = task
  // Where even this fails, such as for a name that is too long, the first error says why.
  const there = await tools.files.stat(instance.id, target, signal).catch(() => null)
  signal.throwIfAborted()
  if (there?.kind !== 'folder') {
    refuse(progress, target, (error as Error).message, error)
    return
  }
  const cause = `${target} is a folder in the container, with files that were not delivered`
  if (instance.state !== 'running') {
    progress.failed.push({ target, cause })
    return
  }
  const folders = foldersWithin(target, [...deleted, ...task.facts.there.keys()])
  await tools.remover.removeEmptyTree(instance, target, signal)
  await tools.remover.removeEmpty(instance, folders, signal)
  for (const folder of task.facts.there.keys()) if (isWithin(target, folder)) task.facts.there.delete(folder)
  if ((await tools.files.stat(instance.id, target, signal)) === null)
    await uploadSome(task, progress, base, writes, deleted)
  else progress.failed.push({ target, cause })
}

function refuse(progress: Progress, target: string, cause: string, error: unknown): void {
  progress.refused += 1
  if (progress.refused > MOST_REFUSED) throw error
  progress.failed.push({ target, cause })
}

/** The folders of a tree, innermost first: all that lead from `root` to one of the paths. */
function foldersWithin(root: string, paths: readonly string[]): readonly string[] {
  const found = new Set([root])
  for (const path of paths) {
    if (path === root || !isWithin(root, path)) continue
    for (let folder = posix.dirname(path); folder !== root; folder = posix.dirname(folder)) found.add(folder)
  }
  return [...found].toSorted((a, b) => b.length - a.length)
}

async function put(
  { tools, facts, instance, rules, signal }: DeliveryTask,
  base: string,
  { folders: missing, times }: Progress,
  writes: readonly Write[],
): Promise<PackedFiles> {
  const folders = neededFolders(missing, writes).filter((folder) => folder !== base && isWithin(base, folder))
  const entries: readonly Entry[] = [...folders.map((path): Entry => ({ type: 'folder', path })), ...writes]
  const named = new Set(rules.map(({ path }) => path))
  const timeOf = (target: string, sourceMs: number | null): number => {
    const sent = times.get(target)
    // Saved again in between it is another delivery.
    if (sent?.sourceMs === sourceMs) return sent.time
    const time = facts.times.of(target, sourceMs)
    times.set(target, { sourceMs, time })
    return time
  }
  let packed: PackedFiles | null = null
  const make = async (): Promise<AsyncIterable<Buffer>> => {
    packed = await packFiles(entries, { base, owner: facts.owner, named, timeOf, signal })
    return packed.chunks
  }
  await tools.files.put(instance.id, base, make, signal)
  if (packed === null) throw new Error('an upload that was never made')
  return packed
}

function neededFolders(missing: readonly string[], writes: readonly Write[]): readonly string[] {
  if (missing.length === 0) return []
  const needed = new Set<string>()
  for (const { target } of writes) {
    for (
      let folder = posix.dirname(target);
      folder !== '/' && !needed.has(folder);
      folder = posix.dirname(folder)
    )
      needed.add(folder)
  }
  return missing.filter((folder) => needed.has(folder))
}

/** Whether leaving out a file may help: the engine answers, knows the container, has room and may write. */
function concernsFiles(error: unknown): boolean {
  if (error instanceof DevstackError || isNotFound(error) || isUnreachable(error)) return false
  const { statusCode } = error as { readonly statusCode?: number }
  const text = error instanceof Error ? error.message : ''
  return statusCode !== undefined && !/read-only|no space left|disk quota|is not running/i.test(text)
}
