import { StringDecoder } from 'node:string_decoder'

/** Turns a program's bytes into text that no terminal acts on: no control sequences, valid Unicode. */
export interface Sanitiser {
  /** The safe text so far; what may be the beginning of a sequence or a character is kept back. */
  write(chunk: Uint8Array | string): string
  /** The rest: an unfinished sequence is dropped, an unfinished character becomes U+FFFD. */
  end(): string
}

/*
 * States of the reader. Text is copied; everything from ESC (or its C1 twin) to the sequence's end is dropped.
 *
 *            ESC                 [ or CSI            final byte
 *   text ───────────▶ escape ───────────▶ control ──────────────▶ text
 *                        │  ] P X ^ _ or C1 twin           ST, BEL
 *                        ├───────────▶ string ──────────────────▶ text
 *                        │  intermediate          final byte
 *                        └───────────▶ charset ─────────────────▶ text
 */
type State = 'text' | 'escape' | 'control' | 'charset' | 'string' | 'stringEscape'

const ESC = 0x1b
const BEL = 0x07
const TAB = 0x09
const NEWLINE = 0x0a
const CSI = 0x9b
const ST = 0x9c
/** DCS, SOS, OSC, PM, APC: a string follows, up to ST. */
const STRING_STARTS: ReadonlySet<number> = new Set([0x90, 0x98, 0x9d, 0x9e, 0x9f])
/** The same after ESC: P X ] ^ _ */
const ESCAPED_STRING_STARTS: ReadonlySet<number> = new Set([0x50, 0x58, 0x5d, 0x5e, 0x5f])
/** A string that never ends would swallow the rest of the log; real ones (titles, links) are short. */
const LONGEST_STRING = 4096

// Marks that change the order or the look of what is around them: they can make a line read as another.
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/

/** A sanitiser for one stream. Chunks may be cut anywhere. */
export function createSanitiser(): Sanitiser {
  const decoder = new StringDecoder('utf8')
  let state: State = 'text'
  let length = 0

  const step = (code: number): boolean => {
    switch (state) {
      case 'text':
        return text(code)
      case 'escape':
        state = afterEscape(code)
        length = 0
        return false
      case 'control':
        // A control sequence ends with its final byte; anything that cannot belong to one ends it too.
        if (code === ESC) state = 'escape'
        else if (code === NEWLINE) return text(code)
        else if (code >= 0x40 && code <= 0x7e) state = 'text'
        else if (code > 0x7e) return text(code)
        return false
      case 'charset':
        if (code === ESC) state = 'escape'
        else if (code === NEWLINE) return text(code)
        else if (code < 0x20 || code > 0x2f) state = 'text'
        return false
      case 'string':
        return inString(code)
      case 'stringEscape':
        // ESC \ is the end; any other sequence ends the string as well and begins anew.
        state = code === 0x5c ? 'text' : afterEscape(code)
        length = 0
        return false
    }
  }

  const text = (code: number): boolean => {
    state = 'text'
    if (code === ESC) state = 'escape'
    else if (code === CSI) state = 'control'
    else if (STRING_STARTS.has(code)) state = 'string'
    else return code === TAB || code === NEWLINE || (code >= 0x20 && code < 0x7f) || code > 0x9f
    length = 0
    return false
  }

  const inString = (code: number): boolean => {
    length++
    if (code === ESC) state = 'stringEscape'
    else if (code === BEL || code === ST) state = 'text'
    // A line's end is the end of anything: one hostile line must not hide the next.
    else if (code === NEWLINE || length > LONGEST_STRING) return text(code)
    return false
  }

  const clean = (decoded: string): string => {
    if (state === 'text' && isPlain(decoded)) return decoded
    let result = ''
    for (const character of decoded) {
      const code = character.codePointAt(0) ?? 0
      if (!step(code)) continue
      if (code >= 0xd800 && code <= 0xdfff) result += '\ufffd'
      else if (!BIDI.test(character)) result += character
    }
    return result
  }

  return {
    write: (chunk) =>
      clean(
        typeof chunk === 'string'
          ? chunk
          : decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)),
      ),
    end: () => {
      const rest = clean(decoder.end())
      state = 'text'
      return rest
    },
  }
}

/** Most lines are: then nothing is copied. */
function isPlain(text: string): boolean {
  return /^[\t\n\x20-\x7e]*$/.test(text)
}

function afterEscape(code: number): State {
  if (code === ESC) return 'escape'
  if (code === 0x5b) return 'control'
  if (ESCAPED_STRING_STARTS.has(code)) return 'string'
  if (code >= 0x20 && code <= 0x2f) return 'charset'
  return 'text'
}

/** One text that is there whole. */
export function sanitise(value: Uint8Array | string): string {
  const sanitiser = createSanitiser()
  return sanitiser.write(value) + sanitiser.end()
}
