import { createSanitiser } from '../../compose/sanitise.js'

/** A line of a container's log, or a part of a very long one; parts share their line's time. */
export interface LogPiece {
  /** RFC 3339, with nine digits of a second. */
  readonly at: string
  /** Sanitised, without its newline. */
  readonly text: string
}

export interface LogLines {
  /** Chunks may be cut anywhere. */
  write(chunk: Uint8Array): readonly LogPiece[]
  /** What came without a newline. Only of a log that was read to its end: else it may be half a line. */
  end(): readonly LogPiece[]
}

/** A longer line comes in parts, cut at the same places whenever it is read: no line fills the memory. */
const LONGEST_PART = 64 * 1024
/** `2026-01-02T03:04:05.123456789+00:00 ` and some room. */
const LONGEST_TIME = 48
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
const NEWLINE = 0x0a
const SPACE = 0x20

/**
 * Takes the kubelet's bytes apart: a time, a space, the line. Lines without a time are the kubelet's own ("unable to retrieve
 * container logs"), or the end of a line whose beginning was left out: they are dropped.
 */
export function createLogLines(): LogLines {
  const sanitiser = createSanitiser()
  let rest: Uint8Array = new Uint8Array(0)
  /** Of the line that `rest` goes on; null at the beginning of a line. */
  let line: { readonly at: string | null } | null = null

  const begin = (data: Uint8Array): { readonly at: string | null; readonly body: Uint8Array } => {
    const space = data.subarray(0, LONGEST_TIME).indexOf(SPACE)
    const head = space < 0 ? '' : Buffer.from(data.buffer, data.byteOffset, space).toString('latin1')
    return TIME.test(head) ? { at: head, body: data.subarray(space + 1) } : { at: null, body: data }
  }
  const piece = (data: Uint8Array, whole: boolean): readonly LogPiece[] => {
    const { at, body } = line === null ? begin(data) : { at: line.at, body: data }
    line = whole ? null : { at }
    if (at === null) return []
    const text = sanitiser.write(body) + (whole ? sanitiser.end() : '')
    return [{ at, text: text.endsWith('\n') ? text.slice(0, -1) : text }]
  }
  /** Bytes of the line that go before its first part is cut. */
  const headRoom = (): number => (line === null ? LONGEST_TIME : 0)

  return {
    write(chunk) {
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const pieces: LogPiece[] = []
      let from = 0
      for (;;) {
        const end = data.indexOf(NEWLINE, from)
        const length = (end < 0 ? data.length : end) - from
        const cut = LONGEST_PART + headRoom()
        if (length > cut) {
          pieces.push(...piece(data.subarray(from, from + cut), false))
          from += cut
        } else if (end >= 0) {
          pieces.push(...piece(data.subarray(from, end + 1), true))
          from = end + 1
        } else break
      }
      // A copy, so that a small rest does not keep a large chunk alive.
      rest = data.slice(from)
      return pieces
    },
    end() {
      if (rest.length === 0) return []
      const last = piece(rest, true)
      rest = new Uint8Array(0)
      return last
    },
  }
}
