/** Vite's errors in the few words that are shown. */
import { stripVTControlCharacters } from 'node:util'

/**
 * @param {{ message?: string, id?: string, frame?: string, stack?: string, loc?: { file?: string, line?: number, column?: number } }} error
 * @returns {{ readonly message: string, readonly file: string | null, readonly line: number | null, readonly column: number | null, readonly output: readonly string[] }}
 */
export function placeOf(error) {
  const text = stripVTControlCharacters(error.message ?? 'Vite failed')
  const { loc } = error
  const found =
    /(?:^|[\s[(])((?:\/|\.{1,2}\/)?[^\s[\]()]+\.[cm]?[jt]sx?|\/[^\s[\]()]+\.\w+):(\d+):(\d+)/.exec(text)
  const file = loc?.file ?? error.id ?? found?.[1] ?? null
  const line = loc?.line ?? (found === null ? null : Number(found[2]))
  // Vite counts columns from 0 in `loc`, and from 1 in what people read.
  const column = loc?.column === undefined ? (found === null ? null : Number(found[3])) : loc.column + 1
  const frame = stripVTControlCharacters(error.frame ?? '')
  return {
    message: messageOf(text),
    file: file === null ? null : file.replace(/[?#].*$/, ''),
    line,
    column,
    output: [...text.split('\n'), ...frame.split('\n')].filter((entry) => entry.trim() !== ''),
  }
}

/** The first line that says something. */
function messageOf(text) {
  const lines = text.split('\n').map((line) => line.trim())
  const coded = lines.find((line) => /^\[[A-Z_]+\]|Error:/.test(line))
  return (coded ?? lines.find((line) => line !== '') ?? text).replace(/^Error: /, '')
}
