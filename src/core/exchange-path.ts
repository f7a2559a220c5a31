/** One step of a path: a key or index, every child (`*`), or anything below (`..`). */
type Step = { readonly key: string | number } | 'any' | 'below'

/** A JSON path as far as it names places: `$.items[0].id`, `$.items[*].id`, `$..created_at`, `$['a b']`. */
export interface JsonPath {
  readonly text: string
  readonly steps: readonly Step[]
}

const STEP = /(\.\.)|\.?(\*)|\[\*\]|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]|\.?([\p{L}\p{N}_$-]+)/uy

/** Reads a path; null where it is none. */
export function parseJsonPath(text: string): JsonPath | null {
  const steps: Step[] = []
  if (!/^\$(?:$|[.[])/u.test(text)) return null
  const pattern = new RegExp(STEP)
  pattern.lastIndex = 1
  while (pattern.lastIndex < text.length) {
    const before = pattern.lastIndex
    const found = pattern.exec(text)
    if (found === null) return null
    const [whole, below, , index, single, double, name] = found
    if (below !== undefined) steps.push('below')
    else if (index !== undefined) steps.push({ key: Number(index) })
    else if (whole.includes('*')) steps.push('any')
    else {
      // A bare name needs its dot, or the two of `..` before it.
      if (name !== undefined && !whole.startsWith('.') && text.slice(before - 2, before) !== '..') return null
      steps.push({ key: single ?? double ?? name ?? '' })
    }
  }
  return steps.at(-1) === 'below' ? null : { text, steps }
}

/** True where `place`, keys and indices from the root, is one that `path` names. */
export function matchesPath({ steps }: JsonPath, place: readonly (string | number)[]): boolean {
  const at = (step: number, depth: number): boolean => {
    const wanted = steps[step]
    if (wanted === undefined) return depth === place.length
    if (wanted === 'below') return at(step + 1, depth) || (depth < place.length && at(step, depth + 1))
    if (depth === place.length) return false
    return (wanted === 'any' || wanted.key === place[depth]) && at(step + 1, depth + 1)
  }
  return at(0, 0)
}

/** The first value that `path` names; undefined where there is none. */
export function valueAt(value: unknown, { steps }: JsonPath): unknown {
  const find = (here: unknown, step: number): unknown => {
    const wanted = steps[step]
    if (wanted === undefined) return here
    const children = childrenOf(here)
    if (wanted !== 'below' && wanted !== 'any') {
      const child = children.find(([key]) => key === wanted.key)
      return child === undefined ? undefined : find(child[1], step + 1)
    }
    const own = wanted === 'below' ? find(here, step + 1) : undefined
    if (own !== undefined) return own
    for (const [, child] of children) {
      const found = find(child, wanted === 'below' ? step : step + 1)
      if (found !== undefined) return found
    }
    return undefined
  }
  return find(value, 0)
}

function childrenOf(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return value.map((item: unknown, index) => [index, item] as const)
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

/** `$.items[0].name`, as {@link parseJsonPath} reads it. */
export function jsonPathText(place: readonly (string | number)[]): string {
  const steps = place.map((key) => {
    if (typeof key === 'number') return `[${String(key)}]`
    return /^[\p{L}\p{N}_$-]+$/u.test(key) ? `.${key}` : `[${key.includes("'") ? `"${key}"` : `'${key}'`}]`
  })
  return `$${steps.join('')}`
}
