import { isAlias, isMap, isPair, isScalar, isSeq } from 'yaml'
import type { Alias, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import type { Problem, SourcePosition } from './error.js'

/** Offsets of one entry of a map or list, and its value, so that places are found by walking. */
export interface Place {
  readonly key: number
  readonly start: number
  readonly end: number
  readonly tag: string | null
  readonly value: unknown
}

/** The entries' places by the plain object that holds them. Aliases share their anchor's object, and so its places. */
export type Places = WeakMap<object, ReadonlyMap<string | number, Place>>

interface Read {
  readonly value: unknown
  /** Nodes after every alias is expanded: what whoever walks the value will meet. */
  readonly size: number
}

/** Turns the nodes of a document into plain values. Refuses what expands beyond `maxNodes`. */
export class YamlReader {
  readonly places: Places = new WeakMap()
  readonly problems: Problem[] = []
  private readonly anchors = new Map<string, Read | 'open'>()
  private total = 0

  constructor(
    private readonly position: (offset: number) => SourcePosition,
    private readonly maxNodes: number,
  ) {}

  read(node: Node | null): unknown {
    this.anchors.clear()
    return this.node(node).value
  }

  private node(node: Node | null): Read {
    if (node === null || this.total > this.maxNodes) return { value: null, size: 1 }
    if (isAlias(node)) return this.alias(node)
    const anchor = 'anchor' in node && typeof node.anchor === 'string' ? node.anchor : null
    if (anchor !== null) this.anchors.set(anchor, 'open')
    const read = this.plain(node)
    if (anchor !== null) this.anchors.set(anchor, read)
    this.count(node, 1)
    return read
  }

  private plain(node: Node): Read {
    if (isMap(node)) return this.map(node)
    if (isSeq(node)) return this.list(node)
    if (!isScalar(node)) return { value: null, size: 1 }
    this.checkTag(node)
    return { value: node.value, size: 1 }
  }

  /** `!!int text` is a mistake, but the library leaves it a text. */
  private checkTag(node: Scalar): void {
    const type = /^tag:yaml\.org,2002:(int|float|bool|null)$/.exec(node.tag ?? '')?.[1]
    if (type !== undefined && typeof node.value === 'string') {
      this.problem(node, `"${node.value}" is not what its tag !!${type} says`)
    }
  }

  private alias(node: Alias): Read {
    const read = this.anchors.get(node.source)
    if (read !== undefined && read !== 'open') {
      this.count(node, read.size)
      return read
    }
    const why = read === 'open' ? 'is inside its own anchor' : 'has no anchor'
    this.problem(node, `the alias *${node.source} ${why}`)
    return { value: null, size: 1 }
  }

  /** Past the limit nothing more is read, so that a bomb costs no more than its own text. */
  private count(node: Node, size: number): void {
    const before = this.total
    this.total += size
    if (before > this.maxNodes || this.total <= this.maxNodes) return
    this.problem(node, `expands to more than ${String(this.maxNodes)} values; aliases multiply them`)
  }

  private list(node: YAMLSeq): Read {
    const value: unknown[] = []
    const places = new Map<string | number, Place>()
    let size = 1
    for (const [index, item] of node.items.entries()) {
      // `- a: b` in a flow list may be a pair without its map.
      const read = isPair(item) ? { value: null, size: 1 } : this.node(item as Node | null)
      value.push(read.value)
      size += read.size
      const start = offsetOf(item) ?? offsetOf(node) ?? 0
      places.set(index, { key: start, start, end: endOf(item) ?? start, tag: tagOf(item), value: read.value })
    }
    this.places.set(value, places)
    return { value, size }
  }

  private map(node: YAMLMap): Read {
    const value: Record<string, unknown> = Object.create(null) as Record<string, unknown>
    const places = new Map<string | number, Place>()
    const merges: object[] = []
    let size = 1
    for (const pair of node.items) {
      const key = this.key(pair)
      if (key === null) continue
      const read = this.node(pair.value as Node | null)
      size += read.size
      if (key === '<<' && isPlain(pair.key)) {
        if (merges.length > 0) this.problem(pair.key as Node, 'the key "<<" is written twice')
        merges.push(...this.merged(pair, read.value))
        continue
      }
      if (places.has(key)) this.problem(pair.key as Node, `the key "${key}" is written twice`)
      value[key] = read.value
      places.set(key, placeOf(pair, read.value))
    }
    this.places.set(value, places)
    for (const from of merges) this.mergeInto(value, places, from)
    return { value, size }
  }

  private key(pair: Pair): string | null {
    const { key } = pair
    if (isAlias(key)) {
      const read = this.node(key)
      if (typeof read.value === 'string') return read.value
    }
    if (isScalar(key)) {
      this.checkTag(key)
      if (typeof key.value === 'string') return key.value
      if (key.value === null && key.source === '') return ''
      this.problem(key, `the key ${key.source ?? String(key.value)} is not text; put it in quotes`)
      return null
    }
    this.problem(key as Node, 'a key is a list or a map; it must be text')
    return null
  }

  private merged(pair: Pair, value: unknown): readonly object[] {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    return list.flatMap((from) => {
      if (typeof from === 'object' && from !== null && !Array.isArray(from)) return [from]
      this.problem(pair.key as Node, '<< needs a map, or a list of maps')
      return []
    })
  }

  /** A written key wins over a merged one, an earlier merge over a later one. */
  private mergeInto(value: Record<string, unknown>, places: Map<string | number, Place>, from: object): void {
    for (const [key, place] of this.places.get(from) ?? []) {
      if (typeof key !== 'string' || places.has(key)) continue
      value[key] = place.value
      places.set(key, place)
    }
  }

  private problem(node: Node, message: string): void {
    this.problems.push({ message, at: this.position(offsetOf(node) ?? 0), hint: null })
  }
}

function placeOf(pair: Pair, value: unknown): Place {
  const key = offsetOf(pair.key) ?? 0
  const start = offsetOf(pair.value) ?? key
  return { key, start, end: endOf(pair.value) ?? start, tag: tagOf(pair.value), value }
}

function isPlain(key: unknown): boolean {
  return isScalar(key) && (key.type === 'PLAIN' || key.type === undefined)
}

function rangeOf(node: unknown): readonly number[] | null {
  if (isPair(node)) return rangeOf(node.key)
  const ranged = typeof node === 'object' && node !== null && 'range' in node ? node.range : null
  return Array.isArray(ranged) ? (ranged as readonly number[]) : null
}

function offsetOf(node: unknown): number | null {
  return rangeOf(node)?.[0] ?? null
}

function endOf(node: unknown): number | null {
  return rangeOf(node)?.[1] ?? null
}

/** Standard tags (`!!str`) are the library's business. */
function tagOf(node: unknown): string | null {
  const tag = typeof node === 'object' && node !== null && 'tag' in node ? node.tag : null
  return typeof tag === 'string' && !tag.startsWith('tag:yaml.org') ? tag : null
}
