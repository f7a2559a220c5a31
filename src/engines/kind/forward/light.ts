/** Whether a request goes through. */
export interface LightState {
  /** Null: nobody has tried yet. */
  readonly ok: boolean | null
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly cause: string | null
}

/** Knows of one address whether requests go through: by the traffic, and by a request of its own where that does not tell. */
export interface Light {
  state(): LightState
  /** An answer came. */
  proved(): void
  failed(cause: string): void
  /** A request is without an answer. */
  doubted(): void
  /** A connection broke that had got through: the next may be well. */
  broke(): void
  /** Other pods are ready than before. */
  podsChanged(): void
  /** Anything may have died unseen. */
  revalidate(): void
  close(): void
}

export interface LightOptions {
  readonly ready: () => boolean
  /** Null: an answer came. Else why none did. */
  readonly probe: (signal: AbortSignal) => Promise<string | null>
  readonly changed: () => void
  readonly now: () => number
}

const NOT_READY = 'no pod is ready'
/** Between two requests of its own where nothing happened but that the last one failed, or that an answer is late. */
const MINUTE_MS = 60_000
/** Between two because of pods. */
const LEAST_MS = 1000

/*
 *   untried ──a pod is ready: probe──▶ green ──no pod is ready, a request failed──▶ red
 *                                        ▲                                           │
 *                                        └── an answer came; probe: a minute is over, other pods, machine woke
 *
 * While it is green and nobody asks for anything nothing is sent.
 */
export function createLight(options: LightOptions): Light {
  return new ProbedLight(options)
}

class ProbedLight implements Light {
  private current: LightState
  private lastProbe = Number.NEGATIVE_INFINITY
  private probing = false
  /** What the probe under way looks at is not what is there now. */
  private stale = false
  private timer: NodeJS.Timeout | null = null
  private readonly over = new AbortController()

  constructor(private readonly options: LightOptions) {
    this.current = { ok: null, since: options.now(), cause: null }
  }

  state(): LightState {
    return this.current
  }

  proved(): void {
    if (this.current.ok === true) return
    this.cancel()
    this.set(true, null)
  }

  failed(cause: string): void {
    this.set(false, cause)
    this.later(MINUTE_MS)
  }

  doubted(): void {
    if (performance.now() - this.lastProbe >= MINUTE_MS) this.look()
  }

  broke(): void {
    this.later(this.lastProbe + LEAST_MS - performance.now())
  }

  podsChanged(): void {
    this.stale = true
    if (!this.options.ready()) {
      this.cancel()
      if (this.current.ok !== null) this.set(false, NOT_READY)
    } else if (this.current.ok !== true) this.later(this.lastProbe + LEAST_MS - performance.now())
  }

  revalidate(): void {
    this.stale = true
    if (this.options.ready()) this.look()
  }

  close(): void {
    this.over.abort()
    this.cancel()
  }

  private later(ms: number): void {
    this.cancel()
    if (this.over.signal.aborted) return
    if (ms <= 0) return this.look()
    this.timer = setTimeout(() => this.look(), ms)
    this.timer.unref()
  }

  private cancel(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  private look(): void {
    this.cancel()
    if (this.probing || this.over.signal.aborted) return
    this.probing = true
    this.stale = false
    this.lastProbe = performance.now()
    this.options.probe(this.over.signal).then(
      (cause) => this.probed(cause),
      (error: unknown) => this.probed((error as Error).message),
    )
  }

  private probed(cause: string | null): void {
    this.probing = false
    if (this.over.signal.aborted) return
    if (!this.options.ready()) return
    if (cause === null) this.proved()
    else {
      this.failed(cause)
      if (this.stale) this.later(LEAST_MS)
    }
  }

  private set(ok: boolean, cause: string | null): void {
    if (this.current.ok === ok && this.current.cause === cause) return
    const since = this.current.ok === ok ? this.current.since : this.options.now()
    this.current = { ok, since, cause }
    this.options.changed()
  }
}
