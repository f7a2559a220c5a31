import { StringDecoder } from 'node:string_decoder'

/** A longer line is cut: a process that never ends one must not fill the memory. */
const LONGEST = 4 * 1024 * 1024

/** Splits what a program of our own writes into its lines, as they are: they are read by a program again. */
export function createPlainLines(): {
  readonly write: (chunk: Uint8Array) => readonly string[]
  readonly end: () => readonly string[]
} {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return {
    write(chunk) {
      const lines = (rest + decoder.write(Buffer.from(chunk))).split('\n')
      rest = lines.pop() ?? ''
      while (rest.length > LONGEST) {
        lines.push(rest.slice(0, LONGEST))
        rest = rest.slice(LONGEST)
      }
      return lines
    },
    end() {
      const last = rest + decoder.end()
      rest = ''
      return last === '' ? [] : [last]
    },
  }
}
