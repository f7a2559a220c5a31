import type { Readable } from 'node:stream'

/** What passes is kept up to this length. */
export const MOST_KEPT = 1_000_000

/** What went through a stream so far. */
export interface Collected {
  /** Null where it was too much. */
  readonly bytes: () => Buffer | null
  readonly length: () => number
}

/** Watches what passes through `stream` to somebody else, and slows nothing down. */
export function collect(stream: Readable): Collected {
  const chunks: Buffer[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length <= MOST_KEPT) chunks.push(chunk)
    else chunks.length = 0
  })
  return {
    bytes: () => (length > MOST_KEPT ? null : Buffer.concat(chunks)),
    length: () => length,
  }
}
