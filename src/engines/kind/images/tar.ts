/** One member of an archive. Its body must be read, or is passed over, before the next one comes. */
export interface TarEntry {
  readonly name: string
  readonly isFile: boolean
  readonly size: number
  /** The header as it came, with what extends it. */
  readonly header: Buffer
  /** In pieces as they come, without copies; ends with the filling up to a whole block. */
  readonly body: AsyncIterable<Buffer>
}

const BLOCK = 512
/** What extends a header is text; more is no archive. */
const LONGEST_EXTENSION = 1024 * 1024

/** Reads an archive as fast as it comes: the client library copies every byte, and an image has hundreds of millions. */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const bytes = new ByteSource(source)
  let extension: { readonly header: Buffer; readonly name: string | null } = NONE
  for (;;) {
    const header = await bytes.take(BLOCK)
    // Two empty blocks end it; what comes after them is filling.
    if (header === null || header.every((byte) => byte === 0)) return await bytes.drain()
    const { name, type, size } = parseHeader(header)
    const padded = Math.ceil(size / BLOCK) * BLOCK
    if (isExtension(type)) {
      if (size > LONGEST_EXTENSION)
        throw new Error(`a header of ${String(size)} bytes in the engine's archive`)
      const body = await bytes.take(padded)
      if (body === null) throw cutOff()
      extension = {
        header: Buffer.concat([extension.header, header, body]),
        name: longName(type, body.subarray(0, size)) ?? extension.name,
      }
      continue
    }
    const body = bytes.upTo(padded)
    yield {
      name: (extension.name ?? name).replace(/^\.\//, ''),
      isFile: type === '0' || type === '\0',
      size,
      header: Buffer.concat([extension.header, header]),
      body,
    }
    extension = NONE
    // What nobody read.
    while (!(await body.next()).done);
  }
}

const NONE = { header: Buffer.alloc(0), name: null } as const

class ByteSource {
  private readonly chunks: AsyncIterator<Buffer>
  private rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.chunks = source[Symbol.asyncIterator]()
  }

  /** Null at the end. */
  async take(length: number): Promise<Buffer | null> {
    const pieces: Buffer[] = []
    let missing = length
    while (missing > 0) {
      const piece = await this.next(missing)
      if (piece === null) {
        if (pieces.length === 0) return null
        throw cutOff()
      }
      pieces.push(piece)
      missing -= piece.length
    }
    return Buffer.concat(pieces)
  }

  async *upTo(length: number): AsyncGenerator<Buffer, void> {
    let missing = length
    while (missing > 0) {
      const piece = await this.next(missing)
      if (piece === null) throw cutOff()
      missing -= piece.length
      yield piece
    }
  }

  async drain(): Promise<void> {
    while ((await this.next(Number.MAX_SAFE_INTEGER)) !== null);
  }

  private async next(most: number): Promise<Buffer | null> {
    while (this.rest.length === 0) {
      const { value, done } = await this.chunks.next()
      if (done === true) return null
      this.rest = value
    }
    const piece = this.rest.subarray(0, most)
    this.rest = this.rest.subarray(piece.length)
    return piece
  }
}

function cutOff(): Error {
  return Object.assign(new Error("the engine's archive ends within a file"), { code: 'ECONNRESET' })
}

/** pax headers and GNU's long names. */
function isExtension(type: string): boolean {
  return 'xgLK'.includes(type)
}

function parseHeader(header: Buffer): {
  readonly name: string
  readonly type: string
  readonly size: number
} {
  const text = (from: number, length: number): string =>
    header.toString('utf8', from, from + length).replace(/\0.*$/s, '')
  const prefix = text(257, 5) === 'ustar' ? text(345, 155) : ''
  const name = text(0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: header.toString('latin1', 156, 157),
    size: parseSize(header.subarray(124, 136)),
  }
}

/** Octal, or from 8 GB on a number in bytes whose first bit is set. */
function parseSize(field: Buffer): number {
  if ((field[0] ?? 0) < 0x80) return Number.parseInt(field.toString('latin1').trim(), 8) || 0
  return Number(BigInt(`0x${field.toString('hex').slice(8)}`))
}

function longName(type: string, body: Buffer): string | null {
  if (type === 'L') return body.toString('utf8').replace(/\0.*$/s, '')
  if (type !== 'x') return null
  return /^\d+ path=(.*)$/m.exec(body.toString('utf8'))?.[1] ?? null
}

/** A whole file of an archive. */
export function tarFile(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0, 100)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, content, Buffer.alloc(-content.length & (BLOCK - 1))])
}

/** What ends an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK)
