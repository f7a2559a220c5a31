/** What tells that a burst is over: then its files are looked at once more. */
const REST_MS = 100
/** A burst that does not end is told in pieces. */
const LONGEST_MS = 2000
/** After this much quiet changes go out at once again. */
const QUIET_MS = 40
/** So many files of a burst go out at once: a save writes one, and with an editor's temporary names a few. */
const AT_ONCE = 8

export interface BatchTarget {
  /** Returns how many of these changes were told at once; the others were no news, or not complete. */
  atOnce(paths: readonly string[]): number
  /** Everything that changed in a burst, also what was told at once: it may have been caught half-written. */
  settled(paths: readonly string[]): void
}

/**
 * When changes go out:
 *
 *     change ---> at once, while fewer than AT_ONCE files did so since it was quiet
 *        \
 *         `--> gathered ---> settled, after REST_MS without a change, or LONGEST_MS after the first
 */
export class Batcher {
  private gathered = new Set<string>()
  private urgent = new Set<string>()
  private left = AT_ONCE
  private lastChange = -Infinity
  private turn: NodeJS.Immediate | null = null
  private rest: NodeJS.Timeout | null = null
  private longest: NodeJS.Timeout | null = null

  private readonly target: BatchTarget

  constructor(target: BatchTarget) {
    this.target = target
  }

  add(path: string): void {
    const now = performance.now()
    if (now - this.lastChange >= QUIET_MS) this.left = AT_ONCE
    this.lastChange = now
    this.gathered.add(path)
    this.hurry(path)
    if (this.rest === null) this.rest = setTimeout(() => this.settle(), REST_MS)
    else this.rest.refresh()
    this.longest ??= setTimeout(() => this.settle(), LONGEST_MS)
  }

  /** Everything that the kernel told together goes out together. */
  private hurry(path: string): void {
    if (this.urgent.has(path) || this.left === 0) return
    this.left -= 1
    this.urgent.add(path)
    this.turn ??= setImmediate(() => {
      const paths = [...this.urgent]
      this.urgent.clear()
      this.turn = null
      this.left += paths.length - this.target.atOnce(paths)
    })
  }

  close(): void {
    this.stopTimers()
    if (this.turn !== null) clearImmediate(this.turn)
  }

  private settle(): void {
    this.stopTimers()
    const paths = [...this.gathered]
    this.gathered = new Set()
    if (paths.length > 0) this.target.settled(paths)
  }

  private stopTimers(): void {
    if (this.rest !== null) clearTimeout(this.rest)
    if (this.longest !== null) clearTimeout(this.longest)
    this.rest = null
    this.longest = null
  }
}
