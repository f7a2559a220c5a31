import type { PlannedRequest } from './exchange.js'

/** Variables of the environment that stand for what `record` did not write begin so. */
export const SECRET_PREFIX = 'DEVSTACK_SECRET_'

/** Names that every request knows: of the stack that it is sent to. */
export const SIDE_NAMES = ['origin', 'host', 'port'] as const

/** Looks a name up; null where nothing has it. */
export type Lookup = (name: string) => string | number | boolean | null

const PLACE = /\$(\$*)\{([^{}\n]*)\}/g
const NAME = /^[A-Za-z_][\w-]*$/

/** Names that `text` wants, each once. `$${x}` is the text `${x}` itself. */
export function namesIn(text: string): readonly string[] {
  const found = [...text.matchAll(PLACE)].filter(([, more]) => more === '').map(([, , name]) => name ?? '')
  return [...new Set(found)]
}

/** Every text of a value, at any depth; keys are none. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : []
}

/** Variables of the environment that the requests need. */
export function secretsOf(requests: readonly PlannedRequest[]): readonly string[] {
  const texts = requests.flatMap(({ target, headers, body }) => textsOf({ target, headers, body }))
  const names = texts.flatMap(namesIn).filter((name) => name.startsWith(SECRET_PREFIX))
  return [...new Set(names)]
}

/** True for what can be kept under this name. */
export function isName(name: string): boolean {
  return NAME.test(name)
}

/** Puts the values in; `encode` makes them fit their place. Names without a value are added to `missing`. */
export function fill(
  text: string,
  lookup: Lookup,
  missing: Set<string>,
  encode: (value: string) => string = (value) => value,
): string {
  return text.replace(PLACE, (whole, more: string, name: string) => {
    if (more !== '') return whole.slice(1)
    const value = lookup(name)
    if (value === null) missing.add(name)
    return value === null ? whole : encode(String(value))
  })
}

/** `text` so that {@link fill} gives it back as it is. */
export function literal(text: string): string {
  return text.replace(PLACE, (whole) => `$${whole}`)
}

/** Every text of a JSON value, keys left alone; a text that is nothing but a place takes the value's own type. */
export function fillJson(value: unknown, lookup: Lookup, missing: Set<string>): unknown {
  return mapTexts(value, (text) => {
    const [name] = namesIn(text)
    const own = name !== undefined && text === `\${${name}}` ? lookup(name) : null
    return own ?? fill(text, lookup, missing)
  })
}

/** The JSON value with every text in it replaced. */
function mapTexts(value: unknown, change: (text: string) => unknown): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map((item: unknown) => mapTexts(item, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, mapTexts(child, change)]))
}
