import { isMap, placeOf, textOf } from './types.js'
import type { Body, ComposeDocument, LoadedSources, YamlMap } from './types.js'
import type { SourcePosition } from '../../../core/error.js'
import type { Path } from '../../../core/yaml.js'

/** A service as its parts together make it, and where each of them is. */
export interface ServiceSource {
  readonly name: string
  readonly bodies: readonly Body[]
  /** False where no active profile is one of its own: Compose does not look at it. */
  readonly active: boolean
}

/** One value of a service, wherever it is written. */
export interface Entry {
  readonly value: unknown
  /** Within the service: `ports`, 0. */
  readonly path: Path
  readonly at: SourcePosition
  readonly document: ComposeDocument
}

export function servicesOf(loaded: LoadedSources, profiles: readonly string[]): readonly ServiceSource[] {
  return [...loaded.services].map(([name, bodies]) => {
    const own = itemsOf(bodies, 'profiles').map(({ value }) => textOf(value))
    const active =
      own.length === 0 || profiles.includes('*') || own.some((profile) => profiles.includes(profile))
    return { name, bodies, active }
  })
}

/** The last value of a key: a later file's wins, and `!reset` takes it away. */
export function valueOf(bodies: readonly Body[], ...path: readonly string[]): Entry | null {
  for (const body of bodies.toReversed()) {
    const value = inside(body.value, path)
    if (value !== undefined) return { value, path, at: placeOf(body, path), document: body.document }
    if (beginsAnew(body, path)) return null
  }
  return null
}

/** The items of a list that grows from file to file. A text alone is a list of one. */
export function itemsOf(bodies: readonly Body[], ...path: readonly string[]): readonly Entry[] {
  const found: Entry[] = []
  for (const body of bodies) {
    const value = inside(body.value, path)
    if (beginsAnew(body, path)) found.length = 0
    const { document } = body
    if (typeof value === 'string') found.push({ value, path, at: placeOf(body, path), document })
    if (!Array.isArray(value)) continue
    for (const [index, item] of value.entries()) {
      const here = [...path, index]
      found.push({ value: item as unknown, path: here, at: placeOf(body, here), document })
    }
  }
  return found
}

export interface NamedEntry extends Entry {
  readonly name: string
}

/** What a list of names or a map by name refers to: `depends_on`, `networks`. */
export function namesOf(bodies: readonly Body[], ...path: readonly string[]): readonly NamedEntry[] {
  const found = new Map<string, NamedEntry>()
  for (const body of bodies) {
    const value = inside(body.value, path)
    if (beginsAnew(body, path)) found.clear()
    const { document } = body
    const add = (name: string, inner: unknown, key: string | number, part: 'key' | 'value') => {
      const here = [...path, key]
      found.set(name, { name, value: inner, path: here, at: placeOf(body, here, part), document })
    }
    if (isMap(value)) {
      for (const [name, inner] of Object.entries(value)) add(name, inner, name, 'key')
    } else if (Array.isArray(value)) {
      for (const [index, name] of value.entries())
        if (typeof name === 'string') add(name, null, index, 'value')
    }
  }
  return [...found.values()]
}

/** `!override` and `!reset`, of the value or of what holds it, drop what earlier files say. */
function beginsAnew({ document, path: own }: Body, path: readonly string[]): boolean {
  return path.some((_, index) => {
    const tag = document.source.tagOf([...own, ...path.slice(0, index + 1)])
    return tag === '!override' || tag === '!reset'
  })
}

function inside(value: YamlMap, path: readonly string[]): unknown {
  return path.reduce<unknown>((here, key) => (isMap(here) ? here[key] : undefined), value)
}
