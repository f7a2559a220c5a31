import { watch, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'
import { join } from './file-table.js'
import { lookThrough } from './stamps.js'

export type RawEvent = 'rename' | 'change'

/** What {@link FolderWatches} and {@link watchAbove} tell of. Null as a name: something in it, the system does not say what. */
export type FolderListener = (folder: string, event: RawEvent, name: string | null) => void

interface Watched {
  readonly watcher: FSWatcher
  /** Names of the watched folders in it. */
  readonly folders: Set<string>
}

/** One inotify watch a folder, none for its files: the kernel names the file in the event. */
export class FolderWatches {
  private readonly watched = new Map<string, Watched>()
  private exhausted = false

  private readonly listener: FolderListener
  /** The system allows no more, or the folder cannot be watched. */
  private readonly failed: (error: NodeJS.ErrnoException) => void

  constructor(listener: FolderListener, failed: (error: NodeJS.ErrnoException) => void) {
    this.listener = listener
    this.failed = failed
  }

  /** Allows new watches again after one failed. */
  retry(): void {
    this.exhausted = false
  }

  /** The system refused a watch since the last {@link retry}: the rest would be refused too. */
  get isExhausted(): boolean {
    return this.exhausted
  }

  has(folder: string): boolean {
    return this.watched.has(folder)
  }

  add(folder: string): void {
    if (this.watched.has(folder) || this.exhausted) return
    const watcher = watchFolder(folder, this.listener, (error) => {
      this.exhausted = true
      this.failed(error)
    })
    if (watcher === null) return
    this.watched.set(folder, { watcher, folders: new Set() })
    this.watched.get(dirname(folder))?.folders.add(basename(folder))
  }

  /** Ends the watches of a folder and of those below it, and says which they were. */
  drop(folder: string, dropped: string[] = []): readonly string[] {
    const found = this.watched.get(folder)
    if (found === undefined) return dropped
    found.watcher.close()
    this.watched.delete(folder)
    this.watched.get(dirname(folder))?.folders.delete(basename(folder))
    dropped.push(folder)
    for (const name of found.folders) this.drop(join(folder, name), dropped)
    return dropped
  }

  /** Ends the watches of all folders but these. */
  keep(folders: ReadonlySet<string>): void {
    for (const folder of this.watched.keys()) if (!folders.has(folder)) this.drop(folder)
  }

  close(): void {
    for (const { watcher } of this.watched.values()) watcher.close()
    this.watched.clear()
  }
}

/** A watch on what a path lies in, which sees the path itself come, go, and be replaced. */
export interface AboveWatch {
  /** The nearest folder that is there. */
  readonly folder: string
  readonly watcher: FSWatcher
}

/** Watches the folder that the path lies in or, where that is not there, the nearest one above. */
export function watchAbove(
  path: string,
  listener: FolderListener,
  failed: (error: NodeJS.ErrnoException) => void,
): AboveWatch | null {
  let missing: string | null = null
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (isFolder(folder)) {
      const watcher = watchFolder(folder, listener, failed)
      if (watcher !== null && missing !== null && isFolder(missing)) {
        // Made after the look and before the watch, which therefore will not tell of it.
        watcher.close()
        return watchAbove(path, listener, failed)
      }
      // Gone in between: then one further up.
      if (watcher !== null || folder === dirname(folder)) return watcher === null ? null : { folder, watcher }
      missing = null
    } else if (folder === dirname(folder)) return null
    else missing = folder
  }
}

function isFolder(path: string): boolean {
  return lookThrough(path)?.isDirectory() === true
}

function watchFolder(
  folder: string,
  listener: FolderListener,
  failed: (error: NodeJS.ErrnoException) => void,
): FSWatcher | null {
  try {
    const watcher = watch(folder, (event, name) => listener(folder, event, name))
    watcher.on('error', failed)
    return watcher
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Gone already, or closed to us: a look by stat finds nothing in it either.
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EACCES') failed(error as NodeJS.ErrnoException)
    return null
  }
}
