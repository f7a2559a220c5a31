import type { Duplex } from 'node:stream'
import { createInflate } from 'node:zlib'
import type { Inflate } from 'node:zlib'

/** What the other side of a tunnel was told. */
export type SpdyEvent =
  | { readonly type: 'open'; readonly stream: number; readonly headers: Readonly<Record<string, string>> }
  | { readonly type: 'data'; readonly stream: number; readonly content: Buffer; readonly end: boolean }
  | { readonly type: 'ping'; readonly content: Buffer }

/** The node's side of SPDY/3.1, written from the specification and not from the code under test: headers really are unpacked. */
export class FakeSpdy {
  readonly events: SpdyEvent[] = []
  /** Called for each event, in order. */
  onEvent: (event: SpdyEvent) => void = () => undefined
  readonly #socket: Duplex
  readonly #inflate: Inflate = createInflate()
  #unpacked = Buffer.alloc(0)
  #pending = Buffer.alloc(0)
  #turn = Promise.resolve()

  constructor(socket: Duplex) {
    this.#socket = socket
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#unpacked = Buffer.concat([this.#unpacked, chunk])
    })
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      this.#turn = this.#turn.then(() => this.#read(chunk))
    })
  }

  reply(stream: number): void {
    // Two empty headers' worth of bytes: nobody reads them.
    this.#control(2, Buffer.concat([number(stream), Buffer.of(0x78, 0xbb, 1, 2, 3)]))
  }

  reset(stream: number): void {
    this.#control(3, Buffer.concat([number(stream), number(5)]))
  }

  ping(id: number): void {
    this.#control(6, number(id))
  }

  leave(): void {
    this.#control(7, Buffer.alloc(8))
  }

  data(stream: number, text: string | Uint8Array, end = false): void {
    const content = Buffer.from(text)
    const head = Buffer.concat([number(stream), number(content.length)])
    head[4] = end ? 1 : 0
    this.#socket.write(Buffer.concat([head, content]))
  }

  #control(type: number, content: Buffer): void {
    const head = Buffer.concat([Buffer.of(0x80, 3, 0, type), number(content.length)])
    this.#socket.write(Buffer.concat([head, content]))
  }

  async #read(chunk: Buffer): Promise<void> {
    this.#pending = Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 8) {
      const length = this.#pending.readUIntBE(5, 3)
      if (this.#pending.length < 8 + length) return
      const head = this.#pending.subarray(0, 8)
      const content = Buffer.from(this.#pending.subarray(8, 8 + length))
      this.#pending = Buffer.from(this.#pending.subarray(8 + length))
      const event = await this.#eventOf(head, content)
      if (event === null) continue
      this.events.push(event)
      this.onEvent(event)
    }
  }

  async #eventOf(head: Buffer, content: Buffer): Promise<SpdyEvent | null> {
    if (((head[0] ?? 0) & 0x80) === 0)
      return { type: 'data', stream: head.readUInt32BE(0), content, end: head[4] === 1 }
    const type = head.readUInt16BE(2)
    if (type === 6) return { type: 'ping', content }
    if (type !== 1) return null
    return {
      type: 'open',
      stream: content.readUInt32BE(0),
      headers: await this.#headers(content.subarray(10)),
    }
  }

  async #headers(block: Buffer): Promise<Readonly<Record<string, string>>> {
    this.#unpacked = Buffer.alloc(0)
    // What unpacks them in Go needs the end of a flush, which Node's does without.
    if (block.subarray(-4).toString('hex') !== '0000ffff') this.#socket.destroy()
    await new Promise<void>((resolve) =>
      this.#inflate.write(block, () => this.#inflate.flush(() => resolve())),
    )
    let at = 0
    const word = (): number => this.#unpacked.readUInt32BE((at += 4) - 4)
    const text = (): string => {
      const length = word()
      return this.#unpacked.subarray(at, (at += length)).toString('utf8')
    }
    const count = word()
    return Object.fromEntries(Array.from({ length: count }, () => [text(), text()] as const))
  }
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
