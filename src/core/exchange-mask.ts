import type { Answer, HeaderList, Mask } from './exchange.js'
import { matchesPath } from './exchange-path.js'

// What differs from answer to answer of one and the same stack says nothing about two of them. What is known here is masked
// unless a file of requests says `defaults: false`; more is masked by the rules of the file.

/** Headers whose values are about one answer, one connection or one cache. */
const VOLATILE_HEADERS: ReadonlySet<string> = new Set([
  'age',
  'connection',
  'content-length',
  'date',
  'etag',
  'expires',
  'keep-alive',
  'last-modified',
  'server',
  'server-timing',
  'traceparent',
  'transfer-encoding',
  'via',
  'x-amzn-trace-id',
  'x-cache',
  'x-cache-status',
  'x-correlation-id',
  'x-request-id',
  'x-response-time',
  'x-runtime',
  'x-trace-id',
])

/** Headers that are sets: servers tell them in any order. */
const SET_HEADERS: ReadonlySet<string> = new Set([
  'access-control-allow-headers',
  'access-control-allow-methods',
  'allow',
  'vary',
])

/** Texts that are made anew for each answer or each start, and what stands for them. */
const VOLATILE_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?/g, '{time}'],
  [/\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|[+-]\d{4})/g, '{time}'],
  [/\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/gi, '{uuid}'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '{token}'],
  [/(\bnonce=)(["'])[^"']*\2/gi, '$1$2{nonce}$2'],
  [/((?:csrf|xsrf)[\w-]*["'][^<>]{0,80}?\b(?:value|content)=)(["'])[^"']*\2/gi, '$1$2{token}$2'],
  // What keeps a browser from its cache: `main.js?t=1718000000000`, `react.js?v=8f3a91bc`.
  [/([?&][tv]=)[\da-f]{8,13}\b/g, '$1{version}'],
]

const TIME_KEY =
  /(?:^|_)(?:at|time|timestamp|date|expires|exp|iat|nbf|now)$|[a-z](?:At|Time|Timestamp|Date|Expires)$/
const SPENT_KEY = /^(?:took|elapsed|uptime)(?:_?ms|_?seconds)?$|^(?:elapsed|uptime)[A-Z_]/
const NAMED_KEY = /^(?:request|trace|span|correlation)_?id$|csrf|xsrf|^nonce$/i

/** The masks that hold for one request. */
export interface Masks {
  readonly rules: readonly Mask[]
  readonly defaults: boolean
  /** Values that each stack has made for itself, such as the id of what was added, and that requests carry as `${name}`. */
  readonly kept?: readonly KeptPair[]
}

/** What one name stands for on each side. */
export interface KeptPair {
  readonly left: string
  readonly right: string
}

/** True where a header's value is not compared. */
export function hidesHeader({ rules, defaults }: Masks, name: string): boolean {
  if (rules.some((rule) => rule.kind === 'header' && rule.name === name)) return true
  // Bodies are compared themselves, and what frames them is nobody's choice.
  const framing = name === 'content-length' || name === 'transfer-encoding' || name === 'connection'
  return framing || (defaults && VOLATILE_HEADERS.has(name))
}

/** True where two values at `place` of a JSON body are taken for the same: by a rule, or as volatile values of one kind. */
export function hidesValue(
  masks: Masks,
  place: readonly (string | number)[],
  left: unknown,
  right: unknown,
): boolean {
  if (masks.rules.some((rule) => rule.kind === 'json' && matchesPath(rule.path, place))) return true
  if (typeof left === 'string' && typeof right === 'string') {
    const named = masks.defaults && NAMED_KEY.test(String(place.at(-1)))
    if (named || maskText(masks, left) === maskText(masks, right)) return true
  }
  if (isSimple(left) && typeof left === typeof right && differsOnlyInKept(masks, String(left), String(right)))
    return true
  if (!masks.defaults || typeof left !== 'number' || typeof right !== 'number') return false
  const key = place.findLast((one) => typeof one === 'string') ?? ''
  return SPENT_KEY.test(key) || (TIME_KEY.test(key) && isEpoch(left) && isEpoch(right))
}

/** The text with what is volatile in it replaced by what it is. */
export function maskText({ rules, defaults }: Masks, text: string): string {
  let masked = text
  for (const rule of rules) if (rule.kind === 'text') masked = masked.replace(rule.pattern, '{masked}')
  if (defaults) for (const [pattern, name] of VOLATILE_TEXTS) masked = masked.replace(pattern, name)
  return masked
}

/** True where the texts differ only in that each has its own stack's kept value at the same place. */
export function differsOnlyInKept({ kept = [] }: Masks, left: string, right: string): boolean {
  let [at, other] = [0, 0]
  while (at < left.length || other < right.length) {
    const pair = kept.find((one) => isWordAt(left, one.left, at) && isWordAt(right, one.right, other))
    if (pair === undefined && left[at] !== right[other]) return false
    at += pair?.left.length ?? 1
    other += pair?.right.length ?? 1
  }
  return true
}

/** True where `text` has `word` at `at`, not as a piece of a longer one. */
function isWordAt(text: string, word: string, at: number): boolean {
  if (word === '' || !text.startsWith(word, at)) return false
  return !/[\w-]/.test(text[at - 1] ?? '') && !/[\w-]/.test(text[at + word.length] ?? '')
}

/** Headers as they are compared, by name: their values in one text each, in the order of their names. */
export function comparableHeaders(masks: Masks, headers: HeaderList): ReadonlyMap<string, string> {
  const values = new Map<string, readonly string[]>()
  for (const [name, value] of headers) values.set(name, [...(values.get(name) ?? []), value])
  const names = [...values.keys()].sort()
  return new Map(names.map((name) => [name, comparableHeader(masks, name, values.get(name) ?? [])]))
}

function comparableHeader(masks: Masks, name: string, values: readonly string[]): string {
  if (name === 'set-cookie') {
    const cookies = masks.defaults ? values.map(maskCookie) : values
    return cookies.toSorted().join(', ')
  }
  if (!SET_HEADERS.has(name)) return maskText(masks, values.join(', '))
  const members = values.flatMap((value) => value.split(',')).map((member) => member.trim().toLowerCase())
  return [...new Set(members)].sort().join(', ')
}

/** A cookie is compared by its name and by who may read it, not by what it holds. */
function maskCookie(cookie: string): string {
  const [pair = '', ...attributes] = cookie.split(';').map((part) => part.trim())
  const kept = attributes.filter((attribute) => !/^expires=/i.test(attribute)).toSorted()
  const name = pair.split('=', 1)[0] ?? ''
  return [`${name}={value}`, ...kept].join('; ')
}

function isSimple(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

/** Seconds or milliseconds of 2001 to 2049. */
function isEpoch(value: number): boolean {
  return [1, 1000].some((unit) => value > 1e9 * unit && value < 2.5e9 * unit)
}

/** The answer with what names its own stack replaced: an address in a link or a redirect is no difference. */
export function withoutAddress(answer: Answer, origin: string): Answer {
  const host = origin.replace(/^\w+:\/\//, '')
  const port = /:\d+$/.exec(host)?.[0]
  const hosts = port === undefined ? [host] : [host, `localhost${port}`, `127.0.0.1${port}`]
  const neutral = (text: string): string =>
    hosts.reduce((done, one) => done.replaceAll(`http://${one}`, '{origin}').replaceAll(one, '{host}'), text)
  const { body } = answer
  return {
    ...answer,
    headers: answer.headers.map(([name, value]) => [name, neutral(value)]),
    body: body.kind === 'text' ? { kind: 'text', text: neutral(body.text) } : body,
  }
}
