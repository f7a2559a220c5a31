/** Frames of SPDY/3.1, as far as Kubernetes forwards ports with them. */
export type SpdyFrame =
  | { readonly type: 'data'; readonly stream: number; readonly end: boolean; readonly content: Buffer }
  /** The other side took a stream. */
  | { readonly type: 'reply'; readonly stream: number }
  | { readonly type: 'reset'; readonly stream: number }
  | { readonly type: 'ping'; readonly content: Buffer }
  | { readonly type: 'leave' }
  | { readonly type: 'other' }

const VERSION = 0x8003
const TYPE = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const
const END = 0x01
const HEAD = 8

/** What a frame's head can say, and no peer sends: the stream is not SPDY. */
const LONGEST = 1024 * 1024

/** Puts frames together from bytes that are cut anywhere. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0)

  /** @throws Error where the bytes are not SPDY */
  read(bytes: Buffer): readonly SpdyFrame[] {
    const frames: SpdyFrame[] = []
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    while (this.#pending.length >= HEAD) {
      const length = this.#pending.readUIntBE(5, 3)
      if (length > LONGEST) throw new Error(`a frame of ${String(length)} bytes`)
      if (this.#pending.length < HEAD + length) break
      const head = this.#pending.subarray(0, HEAD)
      const content = this.#pending.subarray(HEAD, HEAD + length)
      this.#pending = this.#pending.subarray(HEAD + length)
      frames.push(frameOf(head, content))
    }
    return frames
  }
}

function frameOf(head: Buffer, content: Buffer): SpdyFrame {
  const word = head.readUInt32BE(0)
  const isControl = word >= 0x8000_0000
  if (!isControl) return { type: 'data', stream: word, end: ((head[4] ?? 0) & END) !== 0, content }
  if (head.readUInt16BE(0) !== VERSION) throw new Error('another version of SPDY')
  // What the headers of a reply say is of no interest, so they are never unpacked.
  switch (head.readUInt16BE(2)) {
    case TYPE.synReply:
      return { type: 'reply', stream: content.readUInt32BE(0) & 0x7fff_ffff }
    case TYPE.rstStream:
      return { type: 'reset', stream: content.readUInt32BE(0) & 0x7fff_ffff }
    case TYPE.ping:
      return { type: 'ping', content }
    case TYPE.goAway:
      return { type: 'leave' }
    default:
      return { type: 'other' }
  }
}

const FLUSHED = Buffer.of(0, 0, 0, 0xff, 0xff)

/** Writes frames. The headers of a connection are one compressed stream, whose beginning goes with the first of them. */
export class FrameWriter {
  #begun = false

  /** Opens a stream. */
  open(stream: number, headers: Readonly<Record<string, string>>): Buffer {
    const block = this.#pack(headerBlock(headers))
    const fixed = Buffer.alloc(10)
    fixed.writeUInt32BE(stream, 0)
    return control(TYPE.synStream, Buffer.concat([fixed, block]))
  }

  data(stream: number, content: Uint8Array, end: boolean): Buffer {
    const frame = Buffer.allocUnsafe(HEAD + content.length)
    frame.writeUInt32BE(stream, 0)
    frame[4] = end ? END : 0
    frame.writeUIntBE(content.length, 5, 3)
    frame.set(content, HEAD)
    return frame
  }

  /** Answers a ping with what it said. */
  pong(content: Buffer): Buffer {
    return control(TYPE.ping, content)
  }

  /**
   * As a zlib stream of stored blocks: a hundred bytes are not worth a compressor for each connection. An empty one follows, as
   * after a flush: what unpacks them in Go hands out nothing before it has seen it.
   */
  #pack(block: Buffer): Buffer {
    const head = Buffer.alloc(5)
    head.writeUInt16LE(block.length, 1)
    head.writeUInt16LE(~block.length & 0xffff, 3)
    const begin = this.#begun ? [] : [Buffer.of(0x78, 0x01)]
    this.#begun = true
    return Buffer.concat([...begin, head, block, FLUSHED])
  }
}

function control(type: number, content: Buffer): Buffer {
  const head = Buffer.alloc(HEAD)
  head.writeUInt16BE(VERSION, 0)
  head.writeUInt16BE(type, 2)
  head.writeUIntBE(content.length, 5, 3)
  return Buffer.concat([head, content])
}

function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(headers)
  const texts = entries.flatMap(([name, value]) => [name.toLowerCase(), value])
  const parts = texts.flatMap((text) => [numberOf(Buffer.byteLength(text)), Buffer.from(text)])
  return Buffer.concat([numberOf(entries.length), ...parts])
}

function numberOf(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
