import { createSanitiser } from './sanitise.js'

/** A longer line is cut into several: no line fills the memory. */
export const LONGEST_LINE = 16 * 1024

/** Splits a program's output into sanitised lines. */
export interface LineSplitter {
  write(chunk: Uint8Array): readonly string[]
  end(): readonly string[]
}

/** Chunks may be cut anywhere. `\r` alone, as progress bars use it, ends a line too; empty ones of those are left out. */
export function createLineSplitter(): LineSplitter {
  const sanitiser = createSanitiser()
  let rest = ''
  const split = (text: string): string[] => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    const lines = parts.flatMap(cutLine)
    while (rest.length > LONGEST_LINE) {
      const [first = '', ...others] = cutLine(rest)
      lines.push(first)
      rest = others.join('')
    }
    return lines
  }
  return {
    write: (chunk) => split(sanitiser.write(replaceReturns(chunk))),
    end: () => {
      const lines = split(sanitiser.end())
      const last = rest
      rest = ''
      return last === '' ? lines : [...lines, ...cutLine(last)]
    },
  }
}

// In bytes, before the sanitiser drops it as a control character. UTF-8 never has 0x0d inside a character.
function replaceReturns(chunk: Uint8Array): Uint8Array {
  if (!chunk.includes(0x0d)) return chunk
  const bytes = Buffer.from(chunk)
  const kept: number[] = []
  for (const [index, byte] of bytes.entries()) {
    if (byte !== 0x0d) kept.push(byte)
    else if (bytes[index + 1] !== 0x0a && index + 1 < bytes.length) kept.push(0x0a)
  }
  return Uint8Array.from(kept)
}

/** Pieces of at most {@link LONGEST_LINE} code units, never cut between two halves of a character. */
export function cutLine(line: string): string[] {
  if (line.length <= LONGEST_LINE) return [line]
  const pieces: string[] = []
  let from = 0
  while (from < line.length) {
    let to = Math.min(from + LONGEST_LINE, line.length)
    const last = line.charCodeAt(to - 1)
    if (to < line.length && last >= 0xd800 && last <= 0xdbff) to--
    pieces.push(line.slice(from, to))
    from = to
  }
  return pieces
}
