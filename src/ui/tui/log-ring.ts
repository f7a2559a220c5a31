import type { LogLine } from '../../core/events.js'

/** A line and who printed it. */
export interface LogEntry {
  readonly service: string
  readonly line: LogLine
}

/** Lines kept for each service; the rest is in the session's log files. */
const RING_SIZE = 5000

/**
 * The last lines of one service or of all, outside React. Lines have absolute numbers that stay theirs while older ones fall out,
 * so that a paused view does not move.
 */
export class LogRing {
  private lines: LogEntry[] = []
  private skipped = 0

  constructor(private readonly capacity = RING_SIZE) {}

  /** Number of the oldest line that is kept. */
  get first(): number {
    return this.skipped + Math.max(0, this.lines.length - this.capacity)
  }

  /** Number after the newest line. */
  get end(): number {
    return this.skipped + this.lines.length
  }

  push(lines: readonly LogEntry[]): void {
    for (const line of lines) this.lines.push(line)
    // In bulk: dropping one line at a time would copy the array for each.
    if (this.lines.length < 2 * this.capacity) return
    const surplus = this.lines.length - this.capacity
    this.lines = this.lines.slice(surplus)
    this.skipped += surplus
  }

  /** The kept lines with numbers from `from` up to `to`. */
  slice(from: number, to: number): readonly LogEntry[] {
    const begin = Math.max(from, this.first)
    return to <= begin ? [] : this.lines.slice(begin - this.skipped, to - this.skipped)
  }
}

/** The rings of all services, and one of their lines mixed. */
export class LogBook {
  private readonly rings = new Map<string, LogRing>()
  private all = new LogRing()

  add(service: string, lines: readonly LogLine[]): void {
    const entries = lines.map((line) => ({ service, line }))
    this.all.push(entries)
    const known = this.rings.get(service)
    const ring = known ?? new LogRing()
    ring.push(entries)
    if (known === undefined) this.rings.set(service, ring)
  }

  /** Forgets everything and begins with `tails`. */
  restart(tails: Readonly<Record<string, readonly LogLine[]>>): void {
    this.rings.clear()
    this.all = new LogRing()
    for (const [service, lines] of Object.entries(tails)) this.add(service, lines)
  }

  /** Of one service, or of all; null where nothing was logged. */
  of(service: string | null): LogRing | null {
    return service === null ? this.all : (this.rings.get(service) ?? null)
  }
}
