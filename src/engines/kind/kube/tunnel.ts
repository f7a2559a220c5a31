import type { Duplex } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import { Carried } from './carried.js'
import { FrameReader, FrameWriter } from './spdy.js'
import type { SpdyFrame } from './spdy.js'
import type { Upgraded } from './upgrade.js'

/**
 * A connection to a pod that carries one connection to a port at a time, and can be used again after it: so a client that does
 * not read holds up no other one, and most need no handshake.
 */
export class Tunnel {
  readonly #name: string
  readonly #socket: Duplex
  readonly #reader = new FrameReader()
  readonly #writer = new FrameWriter()
  readonly #closed: () => void
  #carried: Carried | null = null
  #next = 1
  /** Why nothing can be carried any more. */
  #over: string | null = null

  /** `name`: of the pod. `closed` is called once, when it is of no more use. */
  constructor(name: string, { socket, head }: Upgraded, closed: () => void) {
    this.#name = name
    this.#socket = socket
    this.#closed = closed
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', (error) => this.#end(error.message))
    socket.on('close', () => this.#end('the connection broke'))
    socket.on('end', () => this.#end('the node closed it'))
    if (head.length > 0) this.#receive(head)
  }

  close(): void {
    this.#end('it was closed')
  }

  /**
   * Resolves once the pod's node has taken it. `finished` is called when it came to its end in both directions, so that another
   * one may be carried.
   */
  carry(port: number, finished: () => void): Promise<Duplex> {
    if (this.#over !== null) return Promise.reject(this.#broken(port, this.#over))
    const ids = { error: this.#next, data: this.#next + 2 }
    this.#next += 4
    const carried = new Carried(ids.data, ids.error, {
      send: (content, end, done) => void this.#socket.write(this.#writer.data(ids.data, content, end), done),
      resume: () => void this.#socket.resume(),
      broken: (cause) => this.#broken(port, cause),
      left: (whole) => {
        if (this.#carried !== carried) return
        this.#carried = null
        if (whole && this.#over === null) finished()
        else this.#end('its client left')
      },
    })
    this.#carried = carried
    const common = { port: String(port), requestid: String(ids.data) }
    this.#socket.write(
      Buffer.concat([
        this.#writer.open(ids.error, { streamtype: 'error', ...common }),
        // We have nothing to say on this one, and the node waits for its end.
        this.#writer.data(ids.error, Buffer.alloc(0), true),
        this.#writer.open(ids.data, { streamtype: 'data', ...common }),
      ]),
    )
    return carried.taken
  }

  #receive(bytes: Buffer): void {
    try {
      for (const frame of this.#reader.read(bytes)) this.#take(frame)
    } catch (error) {
      this.#end((error as Error).message)
    }
  }

  #take(frame: SpdyFrame): void {
    if (frame.type === 'ping') this.#socket.write(this.#writer.pong(frame.content))
    else if (frame.type === 'leave') this.#over ??= 'the node closed it'
    else if (this.#carried?.take(frame) === false) this.#socket.pause()
  }

  #end(cause: string): void {
    if (this.#socket.destroyed && this.#over !== null && this.#carried === null) return
    this.#over ??= cause
    const carried = this.#carried
    this.#carried = null
    carried?.break(cause)
    this.#socket.destroy()
    this.#closed()
  }

  #broken(port: number, cause: string): DevstackError {
    const place = `${this.#name}:${String(port)}`
    return new DevstackError('OPERATION_FAILED', `the connection to ${place} broke`, { cause })
  }
}
