import type { SourceFile, SourceScan } from '../../orchestrator/ports.js'
import { FileTable, join } from './file-table.js'
import { findSource, hashLink, hashSteps, sourceFile, type Hashed } from './read-source.js'
import type { Rules } from './rules.js'
import { lookAt, sameStamp, stampOf, type Breath, type Stamp } from './stamps.js'
import { walkFolder, walkRoots, type Visitor } from './walk.js'

interface Known {
  readonly stamp: Stamp
  readonly sha256: string
  /**
   * The file had rested when it was hashed. One that was written a moment before may be written again without any change
   * of its stat, within one tick of the file system's clock, so it is hashed again.
   */
  readonly rested: boolean
}

/** The hash of every file that was ever read, good for as long as its stat stays what it was. */
export type HashCache = FileTable<Known>

export function createHashCache(): HashCache {
  return new FileTable<Known>()
}

const RESTED_MS = 2000
/** So many files at a time go to the other thread. */
const PART = 500

export interface ScanTarget {
  part(scan: SourceScan): void
  /** What was hashed counts as seen. */
  note(path: string, stamp: Stamp | null): void
  /** As the rules have it; who keeps the answer for each file can give it faster. */
  covers(path: string): boolean
}

/** Hashes every covered file of a service, or those that are asked for and those below the folders that are asked for. */
export class Scanner {
  private files: SourceFile[] = []
  private readonly gone: string[] = []
  private readonly refused: { readonly path: string; readonly reason: string }[] = []
  private readonly seen = new Set<string>()

  private readonly rules: Rules
  private readonly cache: HashCache
  private readonly target: ScanTarget
  private readonly breath: Breath

  constructor(rules: Rules, cache: HashCache, target: ScanTarget, breath: Breath) {
    this.rules = rules
    this.cache = cache
    this.target = target
    this.breath = breath
  }

  async scan(paths: readonly string[] | null): Promise<void> {
    const { rules } = this
    const found: string[] = []
    const visitor: Visitor = {
      files: (folder, names) => {
        if (names === null) this.refuse(folder)
        else for (const name of names) found.push(join(folder, name))
      },
      root: (path) => void found.push(path),
    }
    if (paths === null) await walkRoots(rules, visitor, this.breath)
    else {
      for (const path of paths) {
        if (!rules.covers(path) && !rules.enters(path)) continue
        const type = findSource(rules, path, false).type
        if (type === 'folder') await walkFolder(rules, path, visitor, this.breath)
        // A file of that name, if there was one, is gone as well.
        if (type === 'folder' || type === 'gone') this.gone.push(path)
        else found.push(path)
      }
    }
    for (const path of found) await this.add(path)
    this.flush()
    if (this.gone.length > 0 || this.refused.length > 0)
      this.target.part({ files: [], gone: this.gone, refused: this.refused })
    for (const path of this.gone) this.target.note(path, null)
  }

  private refuse(folder: string): void {
    if (lookAt(folder)?.isDirectory() === true)
      this.refused.push({ path: folder, reason: 'the folder cannot be read' })
  }

  private async add(path: string): Promise<void> {
    const pause = this.breath.take()
    if (pause !== null) await pause
    if (this.seen.has(path) || !this.target.covers(path)) return
    this.seen.add(path)
    const found = findSource(this.rules, path, true)
    if (found.type === 'refused') this.refused.push({ path, reason: found.reason })
    if (found.type === 'link') this.push(path, found.stats, hashLink(found.to), found.to)
    if (found.type === 'file') await this.addFile(path, stampOf(found.stats), found.stats)
    if (this.files.length >= PART) this.flush()
  }

  private async addFile(path: string, stamp: Stamp, stats: Parameters<typeof stampOf>[0]): Promise<void> {
    const known = this.cache.get(path)
    if (known?.rested === true && sameStamp(known.stamp, stamp)) {
      this.push(path, stats, known.sha256, null)
      return
    }
    const hashed = await this.hash(path)
    if (hashed.type === 'refused') this.refused.push({ path, reason: hashed.reason })
    if (hashed.type !== 'hashed') return
    const rested = Date.now() - hashed.stats.ctimeMs > RESTED_MS
    this.cache.set(path, { stamp: stampOf(hashed.stats), sha256: hashed.sha256, rested })
    this.push(path, hashed.stats, hashed.sha256, null)
  }

  private async hash(path: string): Promise<Hashed> {
    const steps = hashSteps(path, this.rules.isRoot(path))
    try {
      for (;;) {
        const step = steps.next()
        if (step.done === true) return step.value
        const pause = this.breath.take()
        if (pause !== null) await pause
      }
    } finally {
      // An abort ends it in a pause, where it would keep the file open.
      steps.return({ type: 'gone' })
    }
  }

  private push(
    path: string,
    stats: Parameters<typeof stampOf>[0],
    sha256: string,
    link: string | null,
  ): void {
    this.files.push(sourceFile(this.rules, path, stats, sha256, link))
    this.target.note(path, stampOf(stats))
  }

  private flush(): void {
    if (this.files.length > 0) this.target.part({ files: this.files, gone: [], refused: [] })
    this.files = []
  }
}
