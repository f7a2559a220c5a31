/** A piece of a container's output: one line, or a part of a long one. */
export interface Frame {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
}

const HEADER = 8
/** No log driver writes a longer piece; more means that the stream is out of step. */
const LONGEST_FRAME = 64 * 1024 * 1024

/**
 * Takes the engine's multiplexed stream apart: eight bytes (stream, three zeros, length), then the piece. Own code, since
 * the client library copies the rest of the chunk for every piece, which a flood of lines makes quadratic.
 */
export function createFrameReader(): (chunk: Uint8Array) => readonly Frame[] {
  let rest: Uint8Array = new Uint8Array(0)
  return (chunk) => {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    const frames: Frame[] = []
    let at = 0
    while (at + HEADER <= data.length) {
      const length = view.getUint32(at + 4)
      if (length > LONGEST_FRAME)
        throw new Error(`a log frame of ${String(length)} bytes: the stream is out of step`)
      const end = at + HEADER + length
      if (end > data.length) break
      frames.push({ stream: data[at] === 2 ? 'stderr' : 'stdout', bytes: data.subarray(at + HEADER, end) })
      at = end
    }
    // A copy, so that a small rest does not keep a large chunk alive.
    rest = at === data.length ? new Uint8Array(0) : data.slice(at)
    return frames
  }
}
