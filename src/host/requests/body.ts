import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import type { AnswerBody } from '../../core/exchange.js'

/** Longer bodies are compared by their hash alone. */
const MOST_TEXT = 4 * 1024 * 1024

const TEXT_TYPE = /^(?:text\/|[^;]*(?:json|xml|javascript|ecmascript|yaml|x-www-form-urlencoded|graphql)\b)/i
const STREAM_TYPE = /^(?:text\/event-stream|multipart\/x-mixed-replace)\b/i

/** True for an answer that goes on for as long as somebody listens. */
export function isStream({ headers }: IncomingMessage): boolean {
  return STREAM_TYPE.test(headers['content-type'] ?? '')
}

/** Reads the whole answer, without its compression; of a stream nothing. Rejects where it breaks off. */
export async function readAnswerBody(answer: IncomingMessage, method: string): Promise<AnswerBody> {
  if (isStream(answer)) {
    answer.destroy()
    return { kind: 'stream' }
  }
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let bytes = 0
  // What has no body may well tell how it would be compressed.
  const bare =
    method === 'HEAD' ||
    [204, 304].includes(answer.statusCode ?? 0) ||
    answer.headers['content-length'] === '0'
  const encoding = bare ? '' : (answer.headers['content-encoding'] ?? '')
  for await (const chunk of uncompress(answer, encoding) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    hash.update(chunk)
    if (bytes <= MOST_TEXT) kept.push(chunk)
  }
  const type = answer.headers['content-type']
  const text = bytes > MOST_TEXT ? null : textOf(Buffer.concat(kept), type)
  return text === null ? { kind: 'binary', sha256: hash.digest('hex'), bytes } : { kind: 'text', text }
}

/** The text, or null where the bytes are none. Without a type what looks like a text is one. */
export function textOf(bytes: Buffer, type: string | undefined): string | null {
  if (type !== undefined && !TEXT_TYPE.test(type)) return null
  const charset = /charset="?([\w-]+)/i.exec(type ?? '')?.[1] ?? 'utf-8'
  try {
    const text = new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes)
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}

/** The bytes of a body without its compression. */
export function uncompress(bytes: Readable, encoding: string): Readable {
  const transform = transformOf(encoding.trim().toLowerCase())
  if (transform === null) return bytes
  // An error goes to whoever reads the last of the two.
  return pipeline(bytes, transform, () => undefined)
}

function transformOf(encoding: string): Transform | null {
  switch (encoding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'deflate':
      return createInflate()
    case 'br':
      return createBrotliDecompress()
    case 'zstd':
      return createZstdDecompress()
    default:
      return null
  }
}
