import type { HeaderList } from './exchange.js'
import { cookieName, cookiePairs } from './exchange-cookies.js'
import { readJson } from './exchange-json.js'
import { jsonPathText } from './exchange-path.js'
import { literal, SECRET_PREFIX } from './exchange-template.js'

// What a recording must not hold. A value that the stack itself answered before is written as `${name}`, which each stack
// fills in for itself at the replay; any other secret as `${DEVSTACK_SECRET_...}`, which the environment fills in.

const SECRET_NAME =
  /pass(?:word|wd|phrase|code)?$|^pw$|pwd|secret|token|api[_-]?key|credential|^otp$|^pin$|card[_-]?number|^cv[vc]$|authorization|csrf|xsrf|private[_-]?key|session[_-]?id|^x-auth/i
const TOKEN_VALUE = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/
const CSRF_INPUT = /\b((?:[\w-]*)(?:csrf|xsrf)[\w-]*)["'][^<>]{0,80}?\b(?:value|content)=["']([^"']+)["']/gi
/** Shorter values of an answer are met by chance. */
const SHORTEST_KEPT = 8

/** What a redactor looks at of an answer. */
export interface LearnedFrom {
  readonly setCookies: readonly string[]
  /** Null where it is none, or too long. */
  readonly text: string | null
  readonly json: boolean
}

/** What one redactor makes of texts, and what it has kept out so far. */
export interface Redactor {
  /** The text to write for a value under `name`; other texts are made literal. */
  readonly value: (name: string, value: string) => string
  readonly headerValue: (name: string, value: string) => string
  /** The names of an answer's values that later requests may carry, and where they stand in it. */
  readonly learn: (answer: LearnedFrom) => Readonly<Record<string, string>>
  /** The `Cookie` header to write, if any: without `includeSecrets` none, since each stack sets its own. */
  readonly cookies: (header: string) => string | null
  /** Variables that stand in the recording. */
  readonly variables: () => readonly string[]
  /** Cookies that the stack has not set while it was recorded. */
  readonly strangers: () => readonly string[]
}

export function createRedactor(includeSecrets: boolean): Redactor {
  const placeholders = new Map<string, string>()
  const learned = new Map<string, string>()
  const setNames = new Set<string>()
  const strangers = new Set<string>()

  const place = (name: string, value: string): string => {
    const key = `${name}\0${value}`
    const known = placeholders.get(key)
    if (known !== undefined) return `\${${known}}`
    const variable = unused(`${SECRET_PREFIX}${variableOf(name)}`, new Set(placeholders.values()))
    placeholders.set(key, variable)
    return `\${${variable}}`
  }
  const redact = (name: string, value: string): string => {
    const own = learned.get(value)
    if (own !== undefined) return `\${${own}}`
    const secret = !includeSecrets && value !== '' && (isSecretName(name) || TOKEN_VALUE.test(value))
    return secret ? place(name, value) : literal(value)
  }

  return {
    value: redact,
    headerValue(name, value) {
      const [, scheme = '', rest = value] = /^((?:Basic|Bearer|Token|Digest) +)(.+)$/i.exec(value) ?? []
      return scheme + redact(name, rest)
    },
    learn(answer) {
      for (const cookie of answer.setCookies) setNames.add(cookieName(cookie))
      const found: Record<string, string> = {}
      for (const { name, value, source } of ownValues(answer)) {
        if (value.length < SHORTEST_KEPT || learned.has(value)) continue
        const free = unused(name.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_'), new Set(learned.values()))
        learned.set(value, free)
        found[free] = source
      }
      return found
    },
    cookies(header) {
      for (const [name] of cookiePairs(header)) if (!setNames.has(name)) strangers.add(name)
      return includeSecrets ? literal(header) : null
    },
    variables: () => [...placeholders.values()],
    strangers: () => (includeSecrets ? [] : [...strangers]),
  }
}

/** True for a header, field or parameter whose value is nobody else's business. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** Headers that belong to one connection, or that a replay says for itself. */
const NOT_RECORDED =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|content-length|if-none-match|if-modified-since|if-range|sec-ch-.*|cookie|host)$/

/** The headers to write; `origin`: where the recorder listens, which each replay replaces by the stack's own. */
export function recordedHeaders(headers: HeaderList, origin: string, redactor: Redactor): HeaderList {
  const kept = headers
    .filter(([name]) => !NOT_RECORDED.test(name.toLowerCase()))
    .map(([name, value]): [string, string] => {
      if (value.startsWith(origin) && !/^\d/.test(value.slice(origin.length)))
        return [name, `\${origin}${recordedTarget(value.slice(origin.length), redactor)}`]
      return [name, redactor.headerValue(name, value)]
    })
  const cookies = headers.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value)
  const cookie = cookies.length === 0 ? null : redactor.cookies(cookies.join('; '))
  return [...hostHeader(headers), ...kept, ...(cookie === null ? [] : [['Cookie', cookie] as const])]
}

/** A name of its own, such as `shop.localhost`, is part of the question. */
function hostHeader(headers: HeaderList): HeaderList {
  const host = headers.find(([name]) => name.toLowerCase() === 'host')?.[1].replace(/:\d+$/, '') ?? ''
  return ['', '127.0.0.1', 'localhost', '[::1]'].includes(host) ? [] : [['Host', `${host}:\${port}`]]
}

/** The path with its query, secret parameters replaced. */
export function recordedTarget(target: string, redactor: Redactor): string {
  const [path = '', ...rest] = target.split('?')
  if (rest.length === 0) return literal(path)
  const parameters = rest.join('?').split('&')
  return `${literal(path)}?${parameters.map((parameter) => recordedParameter(parameter, redactor)).join('&')}`
}

function recordedParameter(parameter: string, redactor: Redactor): string {
  const end = parameter.indexOf('=')
  if (end < 0) return literal(parameter)
  const value = decode(parameter.slice(end + 1))
  const written = redactor.value(decode(parameter.slice(0, end)), value)
  return written === literal(value) ? literal(parameter) : `${parameter.slice(0, end + 1)}${written}`
}

/** Of a form or a query; as it is written where it is not well formed. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

/** Values of an answer that a stack makes for itself and that a page may send back, and where they stand, for `keep`. */
function* ownValues({
  setCookies,
  text,
  json,
}: LearnedFrom): Generator<{ readonly name: string; readonly value: string; readonly source: string }> {
  for (const cookie of setCookies) {
    const name = cookieName(cookie)
    const value = cookiePairs(cookie)[0]?.[1] ?? ''
    if (/csrf|xsrf/i.test(name)) yield { name, value, source: `cookie ${name}` }
  }
  if (text === null) return
  if (json) {
    for (const [source, name, value] of secretTexts(readJson(text), [])) yield { name, value, source }
    return
  }
  for (const [, name = '', value = ''] of text.matchAll(CSRF_INPUT))
    yield { name, value, source: `/${name}["'][^<>]*?\\b(?:value|content)=["']([^"']+)["']/` }
}

function* secretTexts(
  value: unknown,
  at: readonly (string | number)[],
): Generator<readonly [path: string, name: string, value: string]> {
  const name = at.findLast((key) => typeof key === 'string') ?? ''
  if (typeof value === 'string' && isSecretName(name)) yield [jsonPathText(at), name, value]
  if (typeof value !== 'object' || value === null) return
  const children = Array.isArray(value) ? [...(value as unknown[]).entries()] : Object.entries(value)
  for (const [key, child] of children) yield* secretTexts(child, [...at, key])
}

/** `X-Api-Key` is `X_API_KEY`. */
function variableOf(name: string): string {
  const text = name.replaceAll(/\W+/g, '_').toUpperCase()
  return text === '' ? 'VALUE' : text
}

function unused(name: string, taken: ReadonlySet<string>): string {
  for (let count = 2; ; count++) {
    const candidate = count === 2 && !taken.has(name) ? name : `${name}_${String(count)}`
    if (!taken.has(candidate)) return candidate
  }
}
