import { headerOf, type Answer, type Keep, type KeepSource, type Mask } from './exchange.js'
import { cookieName, cookiePairs } from './exchange-cookies.js'
import { readJson } from './exchange-json.js'
import { parseJsonPath, valueAt } from './exchange-path.js'

/** Reads `$.token`, `header X-Token`, `cookie csrftoken` or `/name="csrf" value="(.+?)"/`; null where it is none of them. */
export function parseKeep(text: string): KeepSource | null {
  const named = /^(header|cookie) +(\S+)$/.exec(text)
  if (named !== null) {
    const name = named[2] ?? ''
    return named[1] === 'header'
      ? { from: 'header', header: name.toLowerCase() }
      : { from: 'cookie', cookie: name }
  }
  const pattern = /^\/(.+)\/$/s.exec(text)?.[1]
  if (pattern !== undefined) {
    const compiled = compile(pattern)
    return compiled === null ? null : { from: 'text', pattern: compiled }
  }
  const path = parseJsonPath(text)
  return path === null ? null : { from: 'json', path }
}

/** A regular expression, or null. `g`: every match of it is meant. */
export function compile(pattern: string, flags = 'u'): RegExp | null {
  try {
    return new RegExp(pattern, flags)
  } catch {
    return null
  }
}

/** The value, or undefined where the answer does not have it. */
export function keptValue({ source }: Keep, answer: Answer): string | number | boolean | undefined {
  const text = answer.body.kind === 'text' ? answer.body.text : ''
  switch (source.from) {
    case 'header':
      return headerOf(answer.headers, source.header) ?? undefined
    case 'cookie': {
      const values = answer.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)
      const found = values.findLast((value) => cookieName(value) === source.cookie)
      return found === undefined ? undefined : cookiePairs(found)[0]?.[1]
    }
    case 'text':
      return source.pattern.exec(text)?.[1]
    case 'json': {
      const value = valueAt(readJson(text), source.path)
      if (typeof value === 'bigint') return String(value)
      const simple = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      return simple ? value : undefined
    }
  }
}

/** What is kept because each stack makes its own is no difference either. */
export function masksOfKeep({ source }: Keep): readonly Mask[] {
  switch (source.from) {
    case 'json':
      return [{ kind: 'json', path: source.path }]
    case 'header':
      return [{ kind: 'header', name: source.header }]
    case 'text':
      return [{ kind: 'text', pattern: new RegExp(source.pattern, 'gu') }]
    case 'cookie':
      return []
  }
}
