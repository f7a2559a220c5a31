import { Duplex } from 'node:stream'
import type { DevstackError } from '../../../core/error.js'
import type { SpdyFrame } from './spdy.js'

const BUFFERED = 256 * 1024
/** As large as the pieces that are copied at the other end. */
const MOST_IN_FRAME = 32 * 1024

/** What carries the frames of a connection to a port. */
export interface Carrier {
  /** On its stream of bytes; calls back when more may be sent. */
  send(content: Uint8Array, end: boolean, done: (error?: Error | null) => void): void
  /** Reading may go on. */
  resume(): void
  broken(cause: string): DevstackError
  /** It is over; `whole`: each side has ended all its streams. */
  left(whole: boolean): void
}

/** A connection to a port: one stream for its bytes, and one on which the node says what goes wrong. */
export class Carried {
  readonly duplex: Duplex
  /** The node has taken it, and it has not failed since. */
  readonly taken: Promise<Duplex>
  readonly #carrier: Carrier
  readonly #data: number
  /** Streams that the node has not ended. */
  readonly #open: Set<number>
  #full = false
  #refusal = ''
  #take: () => void = () => undefined
  #refuse: (error: Error) => void = () => undefined

  constructor(data: number, error: number, carrier: Carrier) {
    this.#carrier = carrier
    this.#data = data
    this.#open = new Set([error, data])
    const taken = new Promise<void>((resolve, reject) => {
      this.#take = resolve
      this.#refuse = reject
    })
    this.duplex = new Duplex({
      highWaterMark: BUFFERED,
      allowHalfOpen: false,
      read: () => this.#drain(),
      write: (chunk: Buffer, _encoding, done) => this.#write(chunk, done),
      final: (done) => carrier.send(Buffer.alloc(0), true, done),
      destroy: (failure, done) => {
        this.#drain()
        this.#refuse(carrier.broken('it was closed'))
        carrier.left(this.#open.size === 0 && this.duplex.writableFinished)
        done(failure)
      },
    })
    // Before anybody can listen it may have failed already.
    this.duplex.on('error', () => undefined)
    this.taken = taken.then(() => {
      if (this.duplex.errored !== null) throw this.duplex.errored
      return this.duplex
    })
  }

  /** False where no more should be read for now. */
  take(frame: SpdyFrame): boolean {
    if (frame.type === 'reply' && frame.stream === this.#data) this.#take()
    if (frame.type === 'reset' && this.#open.has(frame.stream)) this.break('the node reset it')
    if (frame.type !== 'data' || !this.#open.has(frame.stream)) return true
    if (frame.end) this.#open.delete(frame.stream)
    if (frame.stream !== this.#data) this.#refusal += frame.content.toString('utf8')
    else if (frame.content.length > 0 && !this.duplex.destroyed) this.#full = !this.duplex.push(frame.content)
    // Only when both have ended is it known whether all went well.
    if (this.#open.size > 0) return !this.#full
    if (this.#refusal === '') this.duplex.push(null)
    else this.break(this.#refusal)
    return true
  }

  break(cause: string): void {
    const failure = this.#carrier.broken(cause)
    this.#refuse(failure)
    this.duplex.destroy(failure)
  }

  #drain(): void {
    if (!this.#full) return
    this.#full = false
    this.#carrier.resume()
  }

  #write(chunk: Buffer, done: (error?: Error | null) => void): void {
    const rest = chunk.subarray(MOST_IN_FRAME)
    this.#carrier.send(chunk.subarray(0, MOST_IN_FRAME), false, (error) => {
      if (error !== undefined && error !== null) done(error)
      else if (rest.length === 0) done()
      else this.#write(rest, done)
    })
  }
}
