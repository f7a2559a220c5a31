import type { Stats } from 'node:fs'
import { FileTable, join } from './file-table.js'
import { compileRules, ignoreFilesOf, type Rules, type WatchedService } from './rules.js'
import { lookAt, lookThrough, sameStamp, stampOf, type Breath, type Stamp } from './stamps.js'
import { walkRoots } from './walk.js'

/** What was last seen, by stat, of the files that a service's rules cover. Whatever differs from it has not been told. */
export class View {
  /** Null: the rules do not cover the file. */
  private table = new FileTable<Stamp | null>()
  rules: Rules
  private ignoreStamp: string
  /** Counts the times that the rules changed. */
  version = 0
  /** Whether a whole look was made; before it a file that is not known is no news. */
  seeded = false

  private readonly service: WatchedService

  constructor(service: WatchedService) {
    this.service = service
    this.ignoreStamp = ignoreStampOf(service)
    this.rules = compileRules(service)
  }

  covers(path: string): boolean {
    const known = this.table.get(path)
    return known === undefined ? this.rules.covers(path) : known !== null
  }

  /** Sees to it that an edited ignore file holds from now on. */
  refresh(): void {
    const stamp = ignoreStampOf(this.service)
    if (stamp === this.ignoreStamp) return
    this.ignoreStamp = stamp
    this.version += 1
    this.rules = compileRules(this.service)
    const before = this.table
    this.table = new FileTable()
    for (const [folder, names] of before.folders) {
      for (const [name, seen] of names) {
        const path = join(folder, name)
        if (seen !== null && this.rules.covers(path)) this.table.set(path, seen)
      }
    }
  }

  /** Whether this is not what was seen of a covered file; `again`: or it is there. One that came and went is no news. */
  isNews(path: string, stamp: Stamp | null, again: boolean): boolean {
    const seen = this.table.get(path) ?? null
    if (!this.covers(path)) return false
    if (seen === null || stamp === null) return seen !== stamp
    return again || !sameStamp(seen, stamp)
  }

  /** The files that are known to be in a folder. */
  *known(folder: string): Generator<string> {
    for (const [name, seen] of this.table.folders.get(folder) ?? [])
      if (seen !== null) yield join(folder, name)
  }

  /** Takes what is there now as told. */
  note(path: string, stamp: Stamp | null): void {
    if (stamp === null) this.table.delete(path)
    else this.table.set(path, stamp)
  }

  /** Compares the files of a folder that was read with what is known of it. */
  compare(folder: string, names: readonly string[] | null, differs: (path: string) => void): void {
    if (!this.rules.enters(folder)) return
    const known = this.table.folder(folder)
    let present = 0
    for (const name of names ?? []) {
      this.compareFile(known, folder, name, differs)
      if (known.has(name)) present += 1
    }
    if (known.size > present) this.compareGone(folder, known, new Set(names), differs)
    if (known.size === 0) this.table.folders.delete(folder)
  }

  private compareFile(
    known: Map<string, Stamp | null>,
    folder: string,
    name: string,
    differs: (path: string) => void,
  ): void {
    const path = join(folder, name)
    const seen = known.get(name)
    if (seen === null || this.rules.isRoot(path)) return
    if (seen === undefined && !this.rules.covers(path)) {
      known.set(name, null)
      return
    }
    const stats = lookAt(path)
    if (stats === null) return
    if (seen === undefined && !this.seeded) known.set(name, stampOf(stats))
    else if (seen === undefined || !sameStamp(seen, stampOf(stats))) differs(path)
  }

  private compareGone(
    folder: string,
    known: Map<string, Stamp | null>,
    present: ReadonlySet<string>,
    differs: (path: string) => void,
  ): void {
    for (const [name, seen] of known) {
      if (present.has(name)) continue
      if (seen === null) known.delete(name)
      else if (!this.rules.isRoot(join(folder, name))) differs(join(folder, name))
    }
  }

  /** Compares something that a rule names and that is a file, or was one. */
  compareRoot(path: string, differs: (path: string) => void): void {
    if (!this.rules.isRoot(path)) return
    const stats = presentFile(path, this.rules)
    const stamp = stats === null ? null : stampOf(stats)
    const isFirst = !this.seeded && (this.table.get(path) ?? null) === null
    if (isFirst && stamp !== null) this.note(path, stamp)
    else if (this.isNews(path, stamp, false)) differs(path)
  }

  /** The files of folders that a walk did not come to any more. `below`: the walk was of this folder only. */
  compareUnvisited(
    visited: ReadonlySet<string>,
    below: string | null,
    differs: (path: string) => void,
  ): void {
    const start = below === null ? '' : `${below}/`
    for (const [folder, names] of this.table.folders) {
      if (visited.has(folder) || (folder !== below && !folder.startsWith(start))) continue
      this.compareGone(folder, names, new Set(), differs)
      if (names.size === 0) this.table.folders.delete(folder)
    }
  }

  /** Looks at everything: what differs from what was seen, which counts as told from now on. */
  async recheck(breath: Breath): Promise<readonly string[]> {
    this.refresh()
    const visited = new Set<string>()
    const found = new Set<string>()
    const differs = (path: string): void => void found.add(path)
    await walkRoots(
      this.rules,
      {
        files: (folder, names) => {
          visited.add(folder)
          this.compare(folder, names, differs)
        },
        root: (path) => this.compareRoot(path, differs),
      },
      breath,
    )
    this.compareUnvisited(visited, null, differs)
    for (const path of found) {
      const stats = presentFile(path, this.rules)
      this.note(path, stats === null ? null : stampOf(stats))
    }
    return [...found]
  }
}

/** Null where nothing is there, or a folder is. */
function presentFile(path: string, rules: Rules): Stats | null {
  const stats = rules.isRoot(path) ? lookThrough(path) : lookAt(path)
  return stats === null || stats.isDirectory() ? null : stats
}

function ignoreStampOf(service: WatchedService): string {
  return ignoreFilesOf(service)
    .map((path) => {
      const stats = lookThrough(path)
      return stats === null ? '' : JSON.stringify(stampOf(stats))
    })
    .join()
}
