import type { Problem } from './error.js'
import { interpolate, lookupIn } from './interpolation.js'

export interface DotEnv {
  readonly values: Readonly<Record<string, string>>
  readonly problems: readonly Problem[]
}

const MAX_PROBLEMS = 50

interface Statement {
  readonly name: string
  readonly raw: string
  readonly quote: '"' | "'" | null
  readonly end: number
}

/**
 * Reads a `.env` file as Compose does: `export`, both quotes (also over several lines), comments, and variables
 * in all but single quotes. `outer` is the environment, which wins and which the values may refer to.
 */
export function readDotEnv(text: string, file: string, outer: (name: string) => string | undefined): DotEnv {
  const values: Record<string, string> = Object.create(null) as Record<string, string>
  const problems: Problem[] = []
  const lookup = (name: string) => outer(name) ?? lookupIn(values)(name)
  let index = 0
  let line = 1
  const skipTo = (next: number) => {
    for (let at = index; at < next && at < text.length; at++) if (text[at] === '\n') line += 1
    index = next
  }
  while (index < text.length && problems.length < MAX_PROBLEMS) {
    const end = endOfLine(text, index)
    const written = text.slice(index, end).trim()
    if (written === '' || written.startsWith('#')) {
      skipTo(end + 1)
      continue
    }
    const read = statement(text, index, end)
    if (typeof read === 'string') {
      problems.push({ message: read, at: { file, line, column: 1 }, hint: 'write NAME=value' })
      skipTo(end + 1)
      continue
    }
    const { name, raw, quote } = read
    values[name] = quote === "'" ? raw : interpolate(quote === '"' ? unescape(raw) : raw, lookup).value
    skipTo(read.end + 1)
  }
  return { values, problems }
}

function statement(text: string, start: number, end: number): Statement | string {
  const head = /^\s*(?:export\s+)?([^=:\s]*)\s*(?:[=:][ \t]*|$)/.exec(text.slice(start, end))
  const name = head?.[1] ?? ''
  const bad = /[^A-Za-z0-9_.\-[\]]/.exec(name)?.[0]
  if (head === null || bad !== undefined || name === '') {
    const line = text.slice(start, end).trim()
    return bad === undefined
      ? `"${line}" sets no variable`
      : `"${bad}" cannot be in a variable's name: ${name}`
  }
  const from = start + head[0].length
  const quote = text[from]
  if (quote !== '"' && quote !== "'") {
    const raw = text.slice(Math.min(from, end), end)
    return { name, raw: raw.replace(/(^|\s)#.*$/, '').trim(), quote: null, end }
  }
  const close = closingQuote(text, from + 1, quote)
  if (close < 0) return `the quote of ${name} is never closed`
  return { name, raw: text.slice(from + 1, close), quote, end: endOfLine(text, close) }
}

function closingQuote(text: string, from: number, quote: string): number {
  for (let index = from; index < text.length; index++) {
    if (text[index] === '\\') index += 1
    else if (text[index] === quote) return index
  }
  return -1
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' }

/** `\$` stays a dollar sign: interpolation reads `$$` as one. */
function unescape(text: string): string {
  return text.replace(/\\(.)/gs, (whole, letter: string) =>
    letter === '$' ? '$$' : (ESCAPES[letter] ?? whole),
  )
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}
