/** The words of a command line, or why they are none. */
export type Words = { readonly words: readonly string[] } | { readonly problem: string }

/** What only a shell knows. Compose drops the rest of the line there, without a word. */
const SHELL = /[;&|<>()`]/

/** Splits a command as Compose does: quotes and backslashes, but no shell. */
export function splitWords(text: string): Words {
  const words: string[] = []
  let word: string | null = null
  let quote: '"' | "'" | null = null
  let escaped = false
  for (const letter of text) {
    if (escaped) {
      word = (word ?? '') + (ESCAPES[letter] ?? letter)
      escaped = false
    } else if (letter === '\\' && quote !== "'") {
      escaped = true
    } else if (quote !== null) {
      if (letter === quote) quote = null
      else word = (word ?? '') + letter
    } else if (letter === '"' || letter === "'") {
      quote = letter
      word ??= ''
    } else if (/\s/.test(letter)) {
      if (word !== null) words.push(word)
      word = null
    } else if (SHELL.test(letter)) {
      return { problem: `"${letter}" needs a shell` }
    } else {
      word = (word ?? '') + letter
    }
  }
  if (quote !== null) return { problem: `a quote (${quote}) is not closed` }
  if (escaped) return { problem: 'it ends with a backslash' }
  if (word !== null) words.push(word)
  return { words }
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n' }
