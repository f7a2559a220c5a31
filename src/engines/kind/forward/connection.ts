import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { causeOf } from './dial.js'
import type { Dialler } from './dial.js'
import type { Place } from './pod-table.js'

export interface ConnectionLimits {
  /** How long a client waits for a pod that takes it. */
  readonly waitMs: number
  /** How long a request may be without an answer before it is asked whether any would come. */
  readonly silentMs: number
  /** How long a client that has said all waits for an answer that does not come. */
  readonly halfClosedMs: number
  /** How long one that has said all, and waits for no answer, waits for the pod to close too. */
  readonly answeredMs: number
  /** How long the other side may take to close. */
  readonly closeMs: number
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  waitMs: 10_000,
  silentMs: 5000,
  halfClosedMs: 60_000,
  answeredMs: 5000,
  closeMs: 5000,
}

/** What a connection asks and tells. */
export interface ConnectionHost {
  readonly dialler: Dialler
  readonly limits: ConnectionLimits
  /** The next place in turn; null while no pod is ready. */
  next(): Place | null
  /** Resolves when the pods change. */
  untilChange(signal: AbortSignal): Promise<void>
  /** Calls when this pod is no more; returns what ends it. */
  onRemoved(place: Place, tell: () => void): () => void
  /** Bytes came back. */
  answered(): void
  /** It was sent something, and nothing has come back for long. */
  silent(): void
  /** It could not get through. */
  failed(cause: string): void
  /** It had got through, and broke. */
  broke(): void
}

/** What a client says before the pod's first byte is kept so far, to be said again to a pod that takes it. */
const MOST_KEPT = 64 * 1024
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/*
 * One TCP connection of a client, over a stream of its own to a pod.
 *
 *   waiting ──a pod is ready──▶ dialling ──▶ carrying ──the pod's end──▶ closing ──▶ closed
 *      ▲                           │            │ refused, and nothing was answered
 *      └── a pause, within waitMs ◀┴────────────┘ anything else that breaks: the client sees a reset
 */
export class Connection {
  /** Resolves when nothing of it is left. */
  readonly closed: Promise<void>
  private readonly over = new AbortController()
  private stream: Duplex | null = null
  /** What the client said, while it may have to be said again. */
  private kept: Buffer[] | null = []
  private keptBytes = 0
  private clientEnded = false
  private podEnded = false
  private silence: NodeJS.Timeout | null = null
  private lastWait: NodeJS.Timeout | null = null

  constructor(
    private readonly socket: Socket,
    private readonly host: ConnectionHost,
  ) {
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.fromClient(chunk))
    socket.on('end', () => this.clientEnds())
    socket.on('error', () => this.close())
    this.closed = new Promise<void>((resolve) => socket.once('close', () => resolve())).then(() =>
      this.close(),
    )
    void this.run()
  }

  /** At once. */
  close(): void {
    if (this.over.signal.aborted) return
    this.over.abort()
    this.calm()
    if (this.lastWait !== null) clearTimeout(this.lastWait)
    this.stream?.destroy()
    this.kept = null
    // As a port that nobody listens at: an end in good order would look like a whole answer.
    if (this.podEnded) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  private get signal(): AbortSignal {
    return this.over.signal
  }

  private async run(): Promise<void> {
    const began = performance.now()
    let cause = 'no pod is ready'
    let pause = FIRST_PAUSE_MS
    while (!this.signal.aborted) {
      const left = this.host.limits.waitMs - (performance.now() - began)
      const place = left <= 0 ? null : await this.place(left)
      if (this.signal.aborted) return
      if (place === null) return this.fail(cause, true)
      const failure = await this.carry(place)
      if (failure === null || this.signal.aborted) return
      cause = failure.cause
      if (!failure.again) return this.fail(cause, false)
      await sleep(pause, undefined, { signal: this.signal }).catch(() => undefined)
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
    }
  }

  /** A ready pod, now or within the given time. */
  private async place(ms: number): Promise<Place | null> {
    const limit = new AbortController()
    const stop = (): void => limit.abort()
    this.signal.addEventListener('abort', stop, { once: true })
    const timer = setTimeout(stop, ms)
    try {
      for (;;) {
        const place = this.host.next()
        if (place !== null || limit.signal.aborted) return place
        await this.host.untilChange(limit.signal)
      }
    } finally {
      clearTimeout(timer)
      this.signal.removeEventListener('abort', stop)
    }
  }

  /** Null when it came to its end. `again`: the pod has seen nothing of it. */
  private async carry(place: Place): Promise<{ readonly cause: string; readonly again: boolean } | null> {
    let stream: Duplex
    try {
      stream = await this.host.dialler.dial(place, this.signal)
    } catch (error) {
      return { cause: causeOf(error), again: true }
    }
    // Whatever it still says when all is over.
    stream.on('error', () => undefined)
    if (this.signal.aborted) {
      stream.destroy()
      return null
    }
    const removed = this.host.onRemoved(place, () => this.podRemoved())
    try {
      await this.pump(stream)
      return null
    } catch (error) {
      const again = this.kept !== null && isRefusal(error)
      return { cause: causeOf(error), again }
    } finally {
      removed()
      this.stream = null
      stream.destroy()
    }
  }

  private pump(stream: Duplex): Promise<void> {
    return new Promise((resolve, reject) => {
      let ended = false
      stream.on('data', (chunk: Buffer) => this.fromPod(stream, chunk))
      stream.once('end', () => {
        ended = true
        this.podEnds()
      })
      stream.once('error', reject)
      stream.once('close', () => {
        if (ended || this.signal.aborted) resolve()
        else reject(new Error('the connection broke'))
      })
      this.stream = stream
      this.begin(stream)
    })
  }

  /** Says what the client has said so far. */
  private begin(stream: Duplex): void {
    let room = true
    for (const chunk of this.kept ?? []) room = stream.write(chunk)
    if (this.keptBytes > 0) this.listen()
    if (this.keptBytes > MOST_KEPT) this.kept = null
    if (this.clientEnded) stream.end()
    if (room) this.socket.resume()
    else this.hold(stream)
  }

  private fromClient(chunk: Buffer): void {
    if (this.kept !== null) {
      this.kept.push(chunk)
      this.keptBytes += chunk.length
    }
    const { stream } = this
    if (stream === null) {
      if (this.keptBytes > MOST_KEPT) this.socket.pause()
      return
    }
    if (this.keptBytes > MOST_KEPT) this.kept = null
    this.listen()
    if (!stream.write(chunk)) this.hold(stream)
  }

  private hold(stream: Duplex): void {
    this.socket.pause()
    stream.once('drain', () => this.socket.resume())
  }

  private fromPod(stream: Duplex, chunk: Buffer): void {
    this.kept = null
    this.calm()
    this.lastWait?.refresh()
    this.host.answered()
    if (this.socket.write(chunk)) return
    stream.pause()
    this.socket.once('drain', () => stream.resume())
  }

  private clientEnds(): void {
    this.clientEnded = true
    this.stream?.end()
    const { answeredMs, halfClosedMs } = this.host.limits
    const waits = this.silence !== null || (this.kept !== null && this.keptBytes > 0)
    this.closeIn(waits ? halfClosedMs : answeredMs)
  }

  private podEnds(): void {
    this.podEnded = true
    this.calm()
    if (this.lastWait !== null) clearTimeout(this.lastWait)
    // A slow client gets all of it first. What it still says reaches nobody.
    this.socket.end(() => this.closeIn(this.host.limits.closeMs))
    this.socket.resume()
  }

  private podRemoved(): void {
    // The server ends the stream of a pod that is gone; one whose node is gone it does not.
    if (!this.podEnded) this.closeIn(this.host.limits.closeMs)
  }

  private closeIn(ms: number): void {
    if (this.signal.aborted) return
    if (this.lastWait !== null) clearTimeout(this.lastWait)
    this.lastWait = setTimeout(() => this.close(), ms)
  }

  private listen(): void {
    this.silence ??= setTimeout(() => this.host.silent(), this.host.limits.silentMs)
  }

  private calm(): void {
    if (this.silence !== null) clearTimeout(this.silence)
    this.silence = null
  }

  private fail(cause: string, sure: boolean): void {
    if (sure) this.host.failed(cause)
    else this.host.broke()
    this.close()
  }
}

/** Nothing reached a program: it may be said again, to this pod or another. */
function isRefusal(error: unknown): boolean {
  return /connection refused|not found|not running/i.test(causeOf(error))
}
