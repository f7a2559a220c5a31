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

/** The last value of a key: a later file's wins. */
export function valueOf(bodies: readonly Body[], ...path: readonly string[]): Entry | null {
  for (const body of bodies.toReversed()) {
    let value: unknown = body.value
    for (const key of path) value = isMap(value) ? value[key] : undefined
    if (value !== undefined) return { value, path, at: placeOf(body, path), document: body.document }
  }
  return null
}

/** The items of a list that grows from file to file; `!override` begins it anew. A text alone is a list of one. */
export function itemsOf(bodies: readonly Body[], ...path: readonly string[]): readonly Entry[] {
  const found: Entry[] = []
  for (const body of bodies) {
    const value = inside(body.value, path)
    if (value === undefined) continue
    if (body.document.source.tagOf([...body.path, ...path]) === '!override') found.length = 0
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
    if (body.document.source.tagOf([...body.path, ...path]) === '!override') found.clear()
    const { document } = body
    if (Array.isArray(value)) {
      for (const [index, name] of value.entries()) {
        const here = [...path, index]
        if (typeof name === 'string')
          found.set(name, { name, value: null, path: here, at: placeOf(body, here), document })
      }
    } else if (isMap(value)) {
      for (const [name, inner] of Object.entries(value)) {
        const here = [...path, name]
        found.set(name, { name, value: inner, path: here, at: placeOf(body, here, 'key'), document })
      }
    }
  }
  return [...found.values()]
}

function inside(value: YamlMap, path: readonly string[]): unknown {
  return path.reduce<unknown>((here, key) => (isMap(here) ? here[key] : undefined), value)
}
