import type { SourcePosition } from '../../../core/error.js'
import { isFields, listAt, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'
import type { SourceDocument } from './documents.js'

/** Where a layer has a path: `depth` parts of it are written there. */
export interface FoundPlace {
  readonly at: SourcePosition
  readonly depth: number
}

/** One thing that made an object what it is: its resource, a patch, an entry of a kustomization. */
export interface Layer {
  /** `object`: as it is in the end, so that an entry of a list is known by its name wherever it stands. */
  find(path: Path, object: unknown): FoundPlace | null
}

/** An object that manifests write, and everything that changes it, the last one last. */
export interface Entry {
  readonly apiVersion: string
  readonly kind: string
  /** All names that it had: prefixes and suffixes come one after the other. */
  readonly names: readonly string[]
  readonly namespace: string | null
  /** Its name gets a hash at the end. */
  readonly hashed: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly at: SourcePosition
  readonly layers: readonly Layer[]
}

/** The name that it has by now, without a hash. */
export function nameOfEntry({ names }: Pick<Entry, 'names'>): string {
  return names.at(-1) ?? ''
}

/**
 * Where a path of an object is written: a plain value by the last layer that has it, a map by the first, which most often
 * is its resource. Where no layer has it whole, as deep as one has it.
 */
export function locateIn({ layers, at }: Entry, path: Path, object: unknown): SourcePosition {
  const order = isPlain(valueAt(object, path)) ? layers.toReversed() : layers
  let best: FoundPlace = { at, depth: 0 }
  for (const layer of path.length === 0 ? [] : order) {
    const found = layer.find(path, object)
    if (found === null) continue
    if (found.depth === path.length) return found.at
    if (found.depth > best.depth) best = found
  }
  return best.at
}

/** Also a list of plain values, which is set as a whole. */
function isPlain(value: unknown): boolean {
  return Array.isArray(value) ? !value.some(isFields) : value !== undefined && !isFields(value)
}

/** A document, or a part of one, that holds an object as it is. */
export function documentLayer(document: SourceDocument, base: Path = []): Layer {
  return {
    find: (path, object) => {
      const own = translate(path, object, valueAt(document.value, base))
      const whole = [...base, ...own]
      const depth = Math.max(0, document.depthOf(whole) - base.length)
      return { at: document.locate(whole), depth: Math.min(depth, own.length) }
    },
  }
}

/** A path of `object` as a path of `source`, as far as that has it: entries of lists are matched by what names them. */
export function translate(path: Path, object: unknown, source: unknown): Path {
  const own: (string | number)[] = []
  let here = object
  let there = source
  for (const key of path) {
    const parent = own.at(-1)
    const index =
      typeof key === 'number' ? indexOf(here, key, there, typeof parent === 'string' ? parent : '') : key
    if (index === null) break
    own.push(index)
    here = valueAt(here, [key])
    there = valueAt(there, [index])
    if (there === undefined) break
  }
  return own
}

/** What names an entry of a list, by the list's key. */
const NAMED_BY: Readonly<Record<string, readonly string[]>> = {
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  ports: ['containerPort', 'port'],
}
const USUALLY: readonly string[] = ['name', 'key', 'mountPath', 'containerPort', 'port', 'ip', 'topologyKey']

function indexOf(list: unknown, index: number, source: unknown, parent: string): number | null {
  const item = valueAt(list, [index])
  if (!isFields(item)) return JSON.stringify(valueAt(source, [index])) === JSON.stringify(item) ? index : null
  const keys = Object.hasOwn(NAMED_BY, parent) ? (NAMED_BY[parent] ?? USUALLY) : USUALLY
  const key = keys.find((one) => item[one] !== undefined)
  if (key === undefined) return valueAt(source, [index]) === undefined ? null : index
  const found = listAt(source, []).findIndex((one) => valueAt(one, [key]) === item[key])
  return found === -1 ? null : found
}

/** An entry of a document; null where it is not an object. */
export function toEntry(document: SourceDocument, base: Path): Entry | null {
  const value = valueAt(document.value, base)
  const apiVersion = textAt(value, ['apiVersion'])
  const kind = textAt(value, ['kind'])
  const name = textAt(value, ['metadata', 'name'])
  if (apiVersion === null || kind === null || name === null) return null
  const labels = valueAt(value, ['metadata', 'labels'])
  return {
    apiVersion,
    kind,
    names: [name],
    namespace: textAt(value, ['metadata', 'namespace']),
    hashed: false,
    labels: isFields(labels) ? (labels as Readonly<Record<string, string>>) : {},
    at: document.locate(base),
    layers: [documentLayer(document, base)],
  }
}
