import { posix } from 'node:path'
import { readFileSync } from 'node:fs'
import { isWithin } from '../../../../src/core/update.js'
import type { OrderedChanges, Write } from '../../../../src/engines/compose/change-order.js'
import type { Bounds } from '../../../../src/engines/kind/inside/frames.js'

type Node =
  | { readonly type: 'folder' }
  | { readonly type: 'file'; readonly text: string }
  | { readonly type: 'link'; readonly to: string }

/** A container's files as a map of paths: what a delivery has to do with them, told without a file system. */
export class ModelFiles {
  readonly #nodes = new Map<string, Node>([['/', { type: 'folder' }]])

  /** @param begun path -> null for a folder, else where a link leads */
  constructor(
    begun: Readonly<Record<string, string | null>>,
    private readonly bounds: Bounds,
  ) {
    for (const [path, to] of Object.entries(begun))
      this.#nodes.set(path, to === null ? { type: 'folder' } : { type: 'link', to })
  }

  /** @returns targets that are refused */
  play({ deletes, writes }: OrderedChanges): readonly string[] {
    const refused = deletes.filter((target) => !this.#delete(target))
    return [...refused, ...writes.filter((write) => !this.#write(write)).map(({ target }) => target)]
  }

  listing(): Record<string, string> {
    const found: Record<string, string> = {}
    for (const [path, node] of this.#nodes) {
      if (path === '/') continue
      found[path] = node.type === 'folder' ? 'folder' : node.type === 'link' ? `-> ${node.to}` : node.text
    }
    return found
  }

  #delete(target: string): boolean {
    const place = this.#place(target, false)
    if (place === 'refused') return false
    if (place === 'missing') return true
    for (const path of this.#nodes.keys()) if (isWithin(place, path)) this.#nodes.delete(path)
    return true
  }

  #write(write: Write): boolean {
    const place = this.#place(write.target, true)
    if (place === 'refused' || place === 'missing') return false
    const inner = [...this.#nodes].filter(([path]) => path !== place && isWithin(place, path))
    if (inner.some(([, { type }]) => type !== 'folder')) return false
    for (const [path] of inner) this.#nodes.delete(path)
    this.#nodes.set(
      place,
      write.type === 'link'
        ? { type: 'link', to: write.to }
        : { type: 'file', text: readFileSync(write.source, 'utf8') },
    )
    return true
  }

  /** Where a target is, with no link on the way to it. */
  #place(target: string, make: boolean): string {
    const above = this.#folder(posix.dirname(target), make)
    if (above === 'refused' || above === 'missing') return above
    const place = posix.join(above, posix.basename(target))
    const bound = this.bounds.binds.some((bind) => isWithin(bind, place) || isWithin(bind, target))
    return bound ? 'refused' : place
  }

  #folder(folder: string, make: boolean): string {
    if (folder === '/') return '/'
    const above = this.#folder(posix.dirname(folder), make)
    if (above === 'refused' || above === 'missing') return above
    const place = posix.join(above, posix.basename(folder))
    const node = this.#nodes.get(place)
    if (node === undefined) {
      if (!make) return 'missing'
      this.#nodes.set(place, { type: 'folder' })
      return place
    }
    if (node.type === 'folder') return place
    if (node.type === 'file') return 'refused'
    const real = this.#real(
      posix.resolve(above, node.to) === '/' ? '/' : node.to.startsWith('/') ? node.to : `${above}/${node.to}`,
    )
    if (real === null || this.#nodes.get(real)?.type !== 'folder') return 'refused'
    const root = this.bounds.roots.find((path) => path !== folder && isWithin(path, folder))
    const outside = root !== undefined && !isWithin(this.#real(root) ?? root, real)
    return outside || this.bounds.binds.some((bind) => isWithin(bind, real)) ? 'refused' : real
  }

  /** Null where it leads nowhere. */
  #real(path: string, links = 0): string | null {
    if (links > 40) return null
    let real = '/'
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    for (const [index, part] of parts.entries()) {
      if (part === '..') {
        real = posix.dirname(real)
        continue
      }
      const next = posix.join(real, part)
      const node = this.#nodes.get(next)
      if (node === undefined) return null
      if (node.type === 'link') {
        const to = node.to.startsWith('/') ? node.to : `${real}/${node.to}`
        return this.#real([to, ...parts.slice(index + 1)].join('/'), links + 1)
      }
      real = next
    }
    return real
  }
}
