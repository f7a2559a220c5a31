import { basename } from 'node:path'
import { Batcher } from './batcher.js'
import { join } from './file-table.js'
import { FolderWatches, watchAbove, type AboveWatch, type RawEvent } from './folder-watches.js'
import { createBreath, isUndecodable, lookAt, lookThrough, stampOf } from './stamps.js'
import type { View } from './view.js'
import { walkFolder, walkRoot, walkRoots, type Scope, type Visitor } from './walk.js'

export interface TreeWatchTarget {
  batch(paths: readonly string[], settled: boolean): void
  warn(message: string, hint: string): void
}

/** The kernel keeps 16,384 events that were not read yet and drops the rest without a word. */
const MANY_EVENTS = 4000
/** A clock that jumped by this much: the machine slept. */
const JUMP_MS = 5000
/** How long an empty file may be one whose content is about to be written. */
const EMPTY_MS = 10
const POLL_MS = 1000

const LIMIT_HINT = 'sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024'

/** Watches what the rules of some services cover, and tells of every file that differs from what its view has seen. */
export class TreeWatch {
  /** Resolves when everything is watched. */
  readonly ready: Promise<void>
  private readonly ended = new AbortController()
  private readonly watches: FolderWatches
  private readonly batcher: Batcher
  private readonly above = new Map<string, AboveWatch>()
  private readonly scope: Scope
  private readonly roots: ReadonlySet<string>
  private tasks: Promise<void> = Promise.resolve()
  private toldAhead = new Set<string>()
  private walkedVersion = 0
  private events = 0
  private clock = Date.now() - performance.now()
  private polling: NodeJS.Timeout | null = null

  readonly views: readonly View[]
  private readonly target: TreeWatchTarget

  constructor(views: readonly View[], target: TreeWatchTarget) {
    this.views = views
    this.target = target
    this.roots = new Set(views.flatMap((view) => view.rules.roots))
    this.scope = {
      roots: [...this.roots],
      isRoot: (path) => this.roots.has(path),
      enters: (folder) => views.some((view) => view.rules.enters(folder)),
    }
    const failed = (error: NodeJS.ErrnoException): void => this.poll(error)
    this.watches = new FolderWatches((folder, event, name) => this.onEvent(folder, event, name), failed)
    this.batcher = new Batcher({
      atOnce: (paths) => this.tellAtOnce(paths),
      settled: (paths) => void this.queue(async () => this.tellSettled(paths)),
    })
    this.ready = this.queue(async () => {
      this.watchRootsAbove()
      await this.walkAll(this.differs)
      for (const view of views) view.seeded = true
    })
  }

  close(): void {
    this.ended.abort()
    this.batcher.close()
    this.watches.close()
    for (const { watcher } of this.above.values()) watcher.close()
    if (this.polling !== null) clearTimeout(this.polling)
  }

  /** One look at a time: two that overlap would each take the other's findings for old. */
  private async queue(task: () => Promise<void>): Promise<void> {
    const done = this.tasks.then(async () => {
      try {
        if (!this.ended.signal.aborted) await task()
      } catch (error) {
        if (!this.ended.signal.aborted) throw error
      }
    })
    this.tasks = done.catch(() => {})
    return done
  }

  // ---- what the kernel tells ----------------------------------------------------------------------------------------

  private onEvent(folder: string, event: RawEvent, name: string | null): void {
    this.events += 1
    if (name === null) return this.lookAgain(folder)
    const path = join(folder, name)
    if (this.roots.has(path)) return
    // No file is found under such a name, so no look would ever tell it: whoever reads it is to refuse it by name.
    if (isUndecodable(folder, name)) return this.target.batch([path], true)
    if (this.watches.has(path)) {
      // Another folder may stand at its place by now, and its watch would follow the old one.
      if (event === 'rename') this.lookAgain(path)
      return
    }
    if (event === 'rename' && lookAt(path)?.isDirectory() === true) {
      if (this.scope.enters(path)) this.lookAgain(path)
    } else if (this.views.some((view) => view.covers(path))) this.batcher.add(path)
  }

  /** Begins anew with a folder that came, went or was replaced. */
  private lookAgain(folder: string): void {
    const dropped = this.watches.drop(folder)
    void this.queue(async () => {
      const visited = new Set<string>()
      if (lookThrough(folder)?.isDirectory() === true)
        await walkFolder(
          this.scope,
          folder,
          this.visitor(visited, this.differs),
          createBreath(this.ended.signal),
        )
      for (const view of this.views) view.compareUnvisited(visited, folder, this.differs)
    })
    // Its files are told at once where it is gone: nothing has to be looked for.
    for (const gone of dropped) {
      if (lookAt(gone) !== null) continue
      for (const view of this.views) for (const path of view.known(gone)) this.batcher.add(path)
    }
  }

  // ---- what rules name ----------------------------------------------------------------------------------------------

  private watchRootsAbove(): void {
    for (const path of this.wantedAbove()) if (!this.above.has(path)) this.watchFromAbove(path)
  }

  private wantedAbove(): ReadonlySet<string> {
    return new Set([...this.roots, ...this.views.flatMap((view) => view.rules.ignoreFiles)])
  }

  private watchFromAbove(path: string): void {
    this.above.get(path)?.watcher.close()
    this.above.delete(path)
    const above = watchAbove(
      path,
      (folder, event, name) => this.onEventAbove(path, folder, event, name),
      (error) => this.poll(error),
    )
    if (above !== null) this.above.set(path, above)
  }

  private onEventAbove(path: string, folder: string, event: RawEvent, name: string | null): void {
    if (this.ended.signal.aborted) return
    const next = path.slice(folder === '/' ? 1 : folder.length + 1).split('/')[0]
    // The folder was deleted or moved, and another one may stand at its place by now.
    const itself = event === 'rename' && name === basename(folder)
    if (name !== null && name !== next && !itself) return
    this.events += 1
    if (itself || (event === 'rename' && join(folder, next ?? '') !== path)) this.watchFromAbove(path)
    if (!this.roots.has(path)) return this.rulesChanged()
    // Looked at after the watch was made, which tells of what comes later.
    if (lookThrough(path)?.isDirectory() === true || this.watches.has(path)) {
      if (event === 'rename') this.rootChanged(path)
    } else this.batcher.add(path)
  }

  private rootChanged(root: string): void {
    this.watches.drop(root)
    void this.queue(async () => {
      const visited = new Set<string>()
      await walkRoot(this.scope, root, this.visitor(visited, this.differs), createBreath(this.ended.signal))
      for (const view of this.views) view.compareUnvisited(visited, root, this.differs)
    })
  }

  private rulesChanged(): void {
    for (const view of this.views) view.refresh()
    if (this.rulesVersion() !== this.walkedVersion) void this.queue(async () => this.walkAll(this.differs))
  }

  /** A look in between may have read an edited ignore file before its event came. */
  private rulesVersion(): number {
    return this.views.reduce((sum, view) => sum + view.version, 0)
  }

  // ---- looking ------------------------------------------------------------------------------------------------------

  private readonly differs = (path: string): void => this.batcher.add(path)

  private visitor(visited: Set<string>, differs: (path: string) => void): Visitor {
    return {
      entering: (folder) => this.watches.add(folder),
      files: (folder, names) => {
        visited.add(folder)
        for (const view of this.views) view.compare(folder, names, differs)
      },
      root: (path) => {
        for (const view of this.views) view.compareRoot(path, differs)
      },
    }
  }

  private async walkAll(differs: (path: string) => void): Promise<void> {
    this.walkedVersion = this.rulesVersion()
    const visited = new Set<string>()
    await walkRoots(this.scope, this.visitor(visited, differs), createBreath(this.ended.signal))
    for (const view of this.views) view.compareUnvisited(visited, null, differs)
    this.watches.keep(visited)
  }

  // ---- telling ------------------------------------------------------------------------------------------------------

  private tellAtOnce(paths: readonly string[]): number {
    const told = paths.filter((path) => this.take(path, { again: false, empty: false }))
    this.ahead(told)
    return told.length
  }

  private ahead(paths: readonly string[]): void {
    for (const path of paths) this.toldAhead.add(path)
    if (paths.length > 0) this.target.batch(paths, false)
  }

  private async tellSettled(paths: readonly string[]): Promise<void> {
    const clock = Date.now() - performance.now()
    const jumped = Math.abs(clock - this.clock) > JUMP_MS
    this.clock = clock
    const ahead = this.toldAhead
    this.toldAhead = new Set()
    const found = new Set(paths)
    if (this.events > MANY_EVENTS || jumped) {
      this.events = 0
      // Some of so many events may have been dropped, and with them that a folder is another one now: its watch is made
      // anew, and the stats tell what the events would have said.
      this.watches.close()
      await this.walkAll((path) => void found.add(path))
    }
    this.events = 0
    const breath = createBreath(this.ended.signal)
    const told: string[] = []
    for (const path of found) {
      if (this.take(path, { again: true, empty: true }) || ahead.has(path)) told.push(path)
      const pause = breath.take()
      if (pause !== null) await pause
    }
    if (told.length > 0) this.target.batch(told, true)
  }

  /**
   * Takes what is there now as told, and says whether that is to be told: it is news to some view, or, with `again`, there
   * at all. Without `empty` an empty file is left for later: an editor that writes in place empties the file first.
   */
  private take(
    path: string,
    { again, empty }: { readonly again: boolean; readonly empty: boolean },
  ): boolean {
    const found = this.roots.has(path) ? lookThrough(path) : lookAt(path)
    const isFolder = found?.isDirectory() === true
    if (isFolder && !this.watches.has(path) && !this.roots.has(path) && this.scope.enters(path))
      this.lookAgain(path)
    const stamp = found === null || isFolder ? null : stampOf(found)
    const views = this.views.filter((view) => view.isNews(path, stamp, again))
    if (views.length === 0) return false
    if (!empty && stamp?.size === 0 && found?.isFile() === true) {
      setTimeout(() => this.takeEmpty(path), EMPTY_MS)
      return false
    }
    for (const view of views) view.note(path, stamp)
    return true
  }

  private takeEmpty(path: string): void {
    if (!this.ended.signal.aborted && this.take(path, { again: false, empty: true })) this.ahead([path])
  }

  // ---- without events -----------------------------------------------------------------------------------------------

  private poll(error: NodeJS.ErrnoException): void {
    if (this.polling !== null || this.ended.signal.aborted) return
    const limit = error.code === 'ENOSPC' || error.code === 'EMFILE'
    const what = limit ? 'the system allows no more file watches' : 'some folders cannot be watched'
    this.target.warn(
      `${what} (${error.code ?? error.message}): files are looked at every second instead`,
      LIMIT_HINT,
    )
    this.schedulePoll(POLL_MS)
  }

  private schedulePoll(delay: number): void {
    this.polling = setTimeout(() => {
      const started = performance.now()
      void this.queue(async () => {
        // The setting may have been changed, as the warning says.
        this.watches.retry()
        this.watchRootsAbove()
        await this.walkAll(this.differs)
        if (!this.watches.isExhausted && this.above.size === this.wantedAbove().size) this.polling = null
        // A large tree must not keep a processor busy.
        else this.schedulePoll(Math.max(POLL_MS, 10 * (performance.now() - started)))
      })
    }, delay)
  }
}
