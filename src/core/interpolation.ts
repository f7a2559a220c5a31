/** What happened to one `$` of a text. */
export interface InterpolationIssue {
  /** `unset`: no value and no default. `required`: `${NAME:?message}` without a value. `invalid`: not an expression. */
  readonly kind: 'unset' | 'required' | 'invalid'
  /** The variable; empty where the expression is invalid. */
  readonly name: string
  /** As it is written, from the `$`. */
  readonly expression: string
  /** Of `required`: what its author wants to be told. */
  readonly message: string
  /** Which of the equal expressions of the text it is, from 0. */
  readonly occurrence: number
}

export interface Interpolated {
  readonly value: string
  /** True where something was replaced. */
  readonly changed: boolean
  readonly issues: readonly InterpolationIssue[]
}

type Lookup = (name: string) => string | undefined

/** Looks a variable up in an environment; `constructor` and the like are no variables. */
export function lookupIn(env: Readonly<Record<string, string | undefined>>): Lookup {
  return (name) => (Object.hasOwn(env, name) ? env[name] : undefined)
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y

/** Replaces `$NAME`, `${NAME}`, `${NAME:-default}`, `-`, `:?`, `?`, `:+`, `+` and `$$`, as Compose does. */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  if (!text.includes('$')) return { value: text, changed: false, issues: [] }
  const found = new Found()
  const value = expand(text, lookup, found, 0)
  const seen = new Map<string, number>()
  const issues = found.issues.map((issue) => {
    const occurrence = seen.get(issue.expression) ?? 0
    seen.set(issue.expression, occurrence + 1)
    return { ...issue, occurrence }
  })
  return { value, changed: value !== text, issues }
}

/** Of one text; whoever writes more of them has made the same mistake each time. */
const MAX_ISSUES = 50

class Found {
  readonly issues: Omit<InterpolationIssue, 'occurrence'>[] = []
  /** Braces that were never closed: each is looked for to the end of the text. */
  open = 0

  push(issue: Omit<InterpolationIssue, 'occurrence'>): void {
    if (this.issues.length < MAX_ISSUES) this.issues.push(issue)
  }
}

/** Deeper than this a default within a default is not looked at. */
const MAX_DEPTH = 20

function expand(text: string, lookup: Lookup, found: Found, depth: number): string {
  let value = ''
  let index = 0
  while (index < text.length) {
    const next = text.indexOf('$', index)
    if (next < 0 || depth > MAX_DEPTH) return value + text.slice(index)
    value += text.slice(index, next)
    const { replacement, end } = expression(text, next, lookup, found, depth)
    value += replacement
    index = end
  }
  return value
}

interface Step {
  readonly replacement: string
  readonly end: number
}

function expression(text: string, start: number, lookup: Lookup, found: Found, depth: number): Step {
  const second = text[start + 1]
  if (second === '$') return { replacement: '$', end: start + 2 }
  const name = nameAt(text, start + 1)
  if (name !== '') {
    const end = start + 1 + name.length
    return { replacement: plain(name, text.slice(start, end), lookup, found), end }
  }
  // A dollar sign before anything else is a dollar sign.
  if (second !== '{') return { replacement: '$', end: start + 1 }
  const close = found.open < MAX_ISSUES ? closing(text, start + 2) : -1
  if (close < 0) found.open += 1
  const braced = close < 0 ? '' : nameAt(text, start + 2)
  const inside = close < 0 ? '' : text.slice(start + 2 + braced.length, close)
  const operator = /^(:?[-?+])/.exec(inside)?.[0] ?? ''
  if (braced === '' || (inside !== '' && operator === '')) {
    const written = close < 0 ? text.slice(start, start + 2) : text.slice(start, close + 1)
    found.push({ kind: 'invalid', name: '', expression: written, message: '' })
    return { replacement: '', end: start + written.length }
  }
  const written = text.slice(start, close + 1)
  const rest = inside.slice(operator.length)
  const replacement = substitute({ name: braced, operator, rest, written }, lookup, found, depth)
  return { replacement, end: close + 1 }
}

interface Braced {
  readonly name: string
  readonly operator: string
  readonly rest: string
  readonly written: string
}

function substitute(braced: Braced, lookup: Lookup, found: Found, depth: number): string {
  const { name, operator, rest, written } = braced
  const value = lookup(name)
  // With a colon an empty value counts as none.
  const has = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
  switch (operator.at(-1)) {
    case '-':
      return has ? (value ?? '') : expand(rest, lookup, found, depth + 1)
    case '+':
      return has ? expand(rest, lookup, found, depth + 1) : ''
    case '?':
      if (has) return value ?? ''
      found.push({ kind: 'required', name, expression: written, message: rest })
      return ''
    default:
      return plain(name, written, lookup, found)
  }
}

function plain(name: string, written: string, lookup: Lookup, found: Found): string {
  const value = lookup(name)
  if (value === undefined) found.push({ kind: 'unset', name, expression: written, message: '' })
  return value ?? ''
}

function nameAt(text: string, index: number): string {
  NAME.lastIndex = index
  return NAME.exec(text)?.[0] ?? ''
}

/** The brace that closes what begins before `index`, or -1. */
function closing(text: string, index: number): number {
  let open = 1
  for (let at = index; at < text.length; at++) {
    if (text[at] === '$' && text[at + 1] === '{') open += 1
    else if (text[at] === '}') open -= 1
    if (open === 0) return at
  }
  return -1
}
