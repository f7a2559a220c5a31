import type { ContainerLog, ReadRequest } from './container-log.js'
import type { Runs } from './runs.js'

/** Reads a container's log through its restarts, as the pod's changes tell of them. */
export interface ContainerFollower {
  update(runs: Runs): void
  /** The API server is there again: what waits tries at once. */
  poke(): void
  /** The pod is no more: what comes yet is read, then it ends. */
  gone(): void
  /** Resolves when it is gone, or was aborted. */
  readonly ended: Promise<void>
}

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 5000
/** The kubelet gives the last lines of a pod that is removed; a node that is away never ends the stream. */
const GONE_MS = 10_000
/** Of an ended run, whose log does not come back. */
const MOST_REFUSALS = 3

/*
 * A run is done when a reading that began after its end was known came to its end: only then is it sure that nothing is missing.
 *
 *   waiting ──change: there is a run that is not done──▶ reading ──its end was known──▶ done, the next run or waiting
 *      ▲                                                   │ stream ended, broke or was refused
 *      └───────────── a change, or a pause is over ◀───────┘
 */
export function followContainer(log: ContainerLog, signal: AbortSignal): ContainerFollower {
  const follower = new Follower(log, signal)
  return follower
}

class Follower implements ContainerFollower {
  readonly ended: Promise<void>
  private runs: Runs = { current: null, previous: null }
  private done = -1
  private refusals = 0
  private wait = FIRST_WAIT_MS
  /** Something changed since it was last looked at. */
  private changed = false
  private wake: () => void = () => undefined
  private readonly over = new AbortController()
  private isGone = false

  constructor(
    private readonly log: ContainerLog,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => this.end(), { once: true, signal: this.over.signal })
    if (signal.aborted) this.end()
    this.ended = this.run()
  }

  update(runs: Runs): void {
    const { current, previous } = this.runs
    const same =
      current?.run === runs.current?.run &&
      current?.ended === runs.current?.ended &&
      previous === runs.previous
    this.runs = runs
    if (!same) this.poke()
  }

  poke(): void {
    this.changed = true
    this.wake()
  }

  gone(): void {
    this.isGone = true
    const timer = setTimeout(() => this.end(), GONE_MS)
    timer.unref()
    this.over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    this.wake()
  }

  private end(): void {
    this.over.abort()
    this.wake()
  }

  private async run(): Promise<void> {
    try {
      while (!this.over.signal.aborted) {
        this.changed = false
        const request = this.next()
        const wait = request === null ? null : await this.read(request)
        // Of a pod that is gone nothing is given any more.
        if (this.isGone) return
        if (wait !== 0) await this.pause(wait)
      }
    } catch (error) {
      if (!this.over.signal.aborted) throw error
    } finally {
      this.over.abort()
    }
  }

  private next(): ReadRequest | null {
    const { current, previous } = this.runs
    if (previous !== null && previous > this.done)
      return { run: previous, previous: true, follow: false, ended: true }
    if (current === null || current.run <= this.done) return null
    return { run: current.run, previous: false, follow: !current.ended, ended: current.ended }
  }

  /** How long to wait before the next look; null: until something changes. */
  private async read(request: ReadRequest): Promise<number | null> {
    const began = performance.now()
    const result = await this.log.read(request, this.over.signal)
    if (request.ended) {
      this.refusals = result === 'refused' ? this.refusals + 1 : 0
      if (result === 'read' || this.refusals >= MOST_REFUSALS) {
        this.done = request.run
        this.refusals = 0
        return 0
      }
    } else if (performance.now() - began > LONGEST_WAIT_MS) this.wait = FIRST_WAIT_MS
    const wait = this.wait
    this.wait = Math.min(wait * 2, LONGEST_WAIT_MS)
    return wait
  }

  private async pause(ms: number | null): Promise<void> {
    if (this.changed || this.isGone || this.over.signal.aborted) {
      this.wait = FIRST_WAIT_MS
      return
    }
    const waiting = Promise.withResolvers<void>()
    this.wake = waiting.resolve
    const timer = ms === null ? null : setTimeout(waiting.resolve, ms)
    await waiting.promise
    if (timer !== null) clearTimeout(timer)
    this.wake = () => undefined
    if (this.changed) this.wait = FIRST_WAIT_MS
  }
}
