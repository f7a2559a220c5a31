import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFrameReader } from '../../../src/engines/compose/frames.js'
import { createLineSplitter, cutLine, LONGEST_LINE } from '../../../src/engines/compose/lines.js'

function split(chunks: readonly Uint8Array[]): readonly string[] {
  const splitter = createLineSplitter()
  return [...chunks.flatMap((chunk) => splitter.write(chunk)), ...splitter.end()]
}

/** Cuts bytes at the places that a list of numbers names. */
function cutAt(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...places, bytes.length].map((end, index, all) => bytes.subarray(all[index - 1] ?? 0, end))
}

describe('lines', () => {
  test('both line ends, a progress bar and an unfinished last line', () => {
    expect(split([Buffer.from('one\r\ntwo\n10%\r20%\nlast')])).toEqual(['one', 'two', '10%', '20%', 'last'])
  })

  test('the lines are the same wherever the chunks are cut', () => {
    const text = fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 8 }).map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 5 }), (lines, cuts) => {
        const bytes = Buffer.from(lines)
        expect(split(cutAt(bytes, cuts))).toEqual(split([bytes]))
      }),
    )
  })

  test('a line that never ends is cut, not kept', () => {
    const lines = split([Buffer.alloc(3 * LONGEST_LINE + 5, 'x')])
    expect(lines.map((line) => line.length)).toEqual([LONGEST_LINE, LONGEST_LINE, LONGEST_LINE, 5])
  })

  test('a cut never goes through a character', () => {
    const line = `${'x'.repeat(LONGEST_LINE - 1)}🚀end`
    expect(cutLine(line).join('')).toBe(line)
    expect(cutLine(line).every((piece) => piece.isWellFormed())).toBe(true)
  })
})

describe('frames', () => {
  const frame = fc.record({ stream: fc.constantFrom('stdout', 'stderr'), bytes: fc.uint8Array() })

  test('what was put together is taken apart, wherever the chunks are cut', () => {
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat(), { maxLength: 6 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ stream, bytes }) => pack(stream, bytes)))
        const read = createFrameReader()
        const found = cutAt(bytes, cuts).flatMap((chunk) => read(chunk))
        expect(found.map(({ stream, bytes }) => ({ stream, bytes: Buffer.from(bytes) }))).toEqual(
          frames.map(({ stream, bytes }) => ({ stream, bytes: Buffer.from(bytes) })),
        )
      }),
    )
  })

  test('a stream out of step is an error, not a wait for ever', () => {
    expect(() => createFrameReader()(Buffer.from('plain text, no frame'))).toThrow('out of step')
  })

  function pack(stream: string, bytes: Uint8Array): Buffer {
    const header = Buffer.alloc(8)
    header[0] = stream === 'stderr' ? 2 : 1
    header.writeUInt32BE(bytes.length, 4)
    return Buffer.concat([header, bytes])
  }
})
