import { hidesValue, type Masks } from './exchange-mask.js'
import { jsonPathText } from './exchange-path.js'

/** One place where two JSON values differ; undefined where a side has nothing there. */
export interface JsonDifference {
  readonly path: string
  readonly left: unknown
  readonly right: unknown
}

type Place = readonly (string | number)[]

/** Reads a JSON text, whole numbers of any length exactly; undefined where it is none. */
export function readJson(text: string): unknown {
  const exact = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source ?? ''
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    return /^-?\d+$/.test(source) ? BigInt(source) : value
  }
  try {
    return JSON.parse(text, exact) as unknown
  } catch {
    return undefined
  }
}

/** A JSON value in one line. */
export function showJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  const text = JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'bigint' ? Number(inner) : inner,
  ) as string | undefined
  return text ?? 'undefined'
}

/** Every place where the values differ and no mask hides it. The order of keys is no difference. */
export function diffJson(
  left: unknown,
  right: unknown,
  masks: Masks,
  place: Place = [],
): readonly JsonDifference[] {
  if (left === undefined && right === undefined) return []
  if (left === undefined || right === undefined) return [{ path: jsonPathText(place), left, right }]
  if (Object.is(left, right) || hidesValue(masks, place, left, right)) return []
  if (Array.isArray(left) && Array.isArray(right)) return diffLists(left, right, masks, place)
  if (isMap(left) && isMap(right)) {
    const keys = new Set([...Object.keys(left), ...Object.keys(right)])
    return [...keys].flatMap((key) => diffJson(own(left, key), own(right, key), masks, [...place, key]))
  }
  return [{ path: jsonPathText(place), left, right }]
}

/** Items are paired from both ends, so that one more or less is told as such, and not as a difference of all that follow. */
function diffLists(
  left: readonly unknown[],
  right: readonly unknown[],
  masks: Masks,
  place: Place,
): readonly JsonDifference[] {
  const same = (one: number, other: number): boolean =>
    diffJson(left[one], right[other], masks, [...place, one]).length === 0
  const shorter = Math.min(left.length, right.length)
  let head = 0
  let tail = 0
  if (left.length !== right.length) {
    while (head < shorter && same(head, head)) head += 1
    while (tail < shorter - head && same(left.length - 1 - tail, right.length - 1 - tail)) tail += 1
  }
  const middle = [left.slice(head, left.length - tail), right.slice(head, right.length - tail)] as const
  const longest = Math.max(middle[0].length, middle[1].length)
  return Array.from({ length: longest }, (_, index) =>
    diffJson(middle[0][index], middle[1][index], masks, [...place, head + index]),
  ).flat()
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A key named `constructor` is data, too. */
function own(value: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined
}
