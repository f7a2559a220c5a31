import { stripVTControlCharacters } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSanitiser, sanitise } from '../../../src/engines/compose/sanitise.js'

/** Pieces that hostile or broken output is made of. */
const piece = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom(
      '\u001b[31m',
      '\u001b]8;;http://x\u001b\\link\u001b]8;;\u0007',
      '\u001b]52;c;aGk=\u0007',
      '\u001bP1$r\u001b\\',
      '\u001b(B',
      '\u009b2J',
      '\u009d0;t\u009c',
      '\u001b',
      '\u202e',
      '\u001b]0;never ends',
    )
    .map((text) => Buffer.from(text)),
)
const output = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces))

/** Everything that a terminal acts on, but for tab and new line; and what turns the reading order. */
// oxlint-disable-next-line no-control-regex
const ACTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/

describe('sanitise', () => {
  test.each([
    ['colours', '\u001b[1;31mred\u001b[0m', 'red'],
    ['cursor movement', 'a\u001b[2J\u001b[Hb', 'ab'],
    ['a link', '\u001b]8;;http://evil\u001b\\text\u001b]8;;\u001b\\', 'text'],
    ['the clipboard', 'x\u001b]52;c;aGk=\u0007y', 'xy'],
    ['a title ended by the C1 twin', '\u009d0;title\u009ctext', 'text'],
    ['a device control string', '\u001bPq#0;2\u001b\\text', 'text'],
    ['a character set', '\u001b(Btext', 'text'],
    ['bells, backspaces, returns', 'a\u0007b\u0008c\rd', 'abcd'],
    ['a reversed reading order', 'user\u202etxt.exe', 'usertxt.exe'],
    ['tabs and new lines stay', 'a\tb\nc', 'a\tb\nc'],
    ['other scripts stay', 'größe 你好 🚀', 'größe 你好 🚀'],
  ])('%s', (_, from, to) => {
    expect(sanitise(from)).toBe(to)
    expect(sanitise(Buffer.from(from))).toBe(to)
  })

  test('bytes that are no UTF-8 become U+FFFD', () => {
    expect(sanitise(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\ufffdb')
    expect(sanitise(Buffer.from([0xe4, 0xbd]))).toBe('\ufffd')
  })

  test('a string that never ends does not hide the next line', () => {
    expect(sanitise('a\u001b]0;title\nnext')).toBe('a\nnext')
  })

  test('nothing that a terminal acts on is left, whatever comes in', () => {
    fc.assert(
      fc.property(output, (bytes) => {
        const text = sanitise(bytes)
        expect(text).not.toMatch(ACTIVE)
        expect(stripVTControlCharacters(text)).toBe(text)
        expect(text.isWellFormed()).toBe(true)
      }),
    )
  })

  test('where the chunks are cut makes no difference', () => {
    fc.assert(
      fc.property(output, fc.array(fc.nat(), { maxLength: 6 }), (bytes, cuts) => {
        const sanitiser = createSanitiser()
        const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
        const ends = [...places, bytes.length]
        let from = 0
        let text = ''
        for (const end of ends) {
          text += sanitiser.write(bytes.subarray(from, end))
          from = end
        }
        expect(text + sanitiser.end()).toBe(sanitise(bytes))
      }),
    )
  })
})
