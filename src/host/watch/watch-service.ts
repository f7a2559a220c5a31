import type { Answer, Noted, Request } from './messages.js'
import type { WatchedService } from './rules.js'
import { createHashCache, Scanner, type ScanTarget } from './scanner.js'
import { createBreath } from './stamps.js'
import { TreeWatch } from './tree-watch.js'
import { View } from './view.js'

/** The worker's side: answers requests until its thread ends. */
export class WatchService {
  private readonly views = new Map<string, View>()
  private readonly watches = new Map<number, TreeWatch>()
  private readonly looks = new Map<number, AbortController>()
  private readonly cache = createHashCache()

  private readonly answer: (answer: Answer) => void

  constructor(answer: (answer: Answer) => void) {
    this.answer = answer
  }

  handle(request: Request): void {
    switch (request.type) {
      case 'watch':
        this.watch(request.id, request.services)
        return
      case 'scan':
        this.look(request.id, async (signal) => this.scan(request, signal))
        return
      case 'recheck':
        this.look(request.id, async (signal) => this.recheck(request, signal))
        return
      case 'cancel':
        this.watches.get(request.id)?.close()
        this.watches.delete(request.id)
        this.looks.get(request.id)?.abort()
        return
      default:
        request satisfies never
    }
  }

  private viewOf(service: WatchedService): View {
    const key = JSON.stringify(service)
    const known = this.views.get(key)
    if (known !== undefined) return known
    // The same service with other rules: what was seen under the old ones is of no use any more.
    for (const [other, view] of this.views) {
      if (view.rules.service.name === service.name && !this.isWatched(view)) this.views.delete(other)
    }
    const made = new View(service)
    this.views.set(key, made)
    return made
  }

  private isWatched(view: View): boolean {
    return [...this.watches.values()].some((watch) => watch.views.includes(view))
  }

  private watch(id: number, services: readonly WatchedService[]): void {
    const views = services.filter((service) => service.watch.length > 0).map((one) => this.viewOf(one))
    const watch = new TreeWatch(views, {
      batch: (paths, settled) => this.answer({ type: 'batch', id, paths, settled }),
      warn: (message, hint) => this.answer({ type: 'warning', id, message, hint }),
    })
    this.watches.set(id, watch)
    watch.ready.then(
      () => this.answer({ type: 'watching', id }),
      (error: unknown) => this.answer({ type: 'failed', id, error }),
    )
  }

  private look(id: number, work: (signal: AbortSignal) => Promise<void>): void {
    const controller = new AbortController()
    this.looks.set(id, controller)
    work(controller.signal)
      .catch((error: unknown) => {
        if (!controller.signal.aborted) this.answer({ type: 'failed', id, error })
      })
      .finally(() => this.looks.delete(id))
  }

  /** Until a new watch has seen its files: a look before that would take an edit in between for old. */
  private async settled(view: View): Promise<void> {
    for (const watch of this.watches.values()) if (watch.views.includes(view)) await watch.ready
  }

  private async scan(request: Extract<Request, { type: 'scan' }>, signal: AbortSignal): Promise<void> {
    const { id, paths } = request
    const view = this.viewOf(request.service)
    await this.settled(view)
    view.refresh()
    const noted: Noted[] = []
    const target: ScanTarget = {
      part: (scan) => this.answer({ type: 'part', id, scan }),
      note: (path, stamp) => void noted.push({ path, stamp }),
      covers: (path) => view.covers(path),
    }
    await new Scanner(view.rules, this.cache, target, createBreath(signal)).scan(paths)
    // Not before: what was scanned for somebody who has gone away meanwhile has not been told.
    for (const { path, stamp } of noted) view.note(path, stamp)
    if (paths === null) view.seeded = true
    this.answer({ type: 'scanned', id })
  }

  private async recheck(request: Extract<Request, { type: 'recheck' }>, signal: AbortSignal): Promise<void> {
    const view = this.viewOf(request.service)
    await this.settled(view)
    for (const { path, stamp } of request.noted) view.note(path, stamp)
    // Nothing was ever seen: everything is news.
    view.seeded = true
    const paths = await view.recheck(createBreath(signal))
    this.answer({ type: 'rechecked', id: request.id, paths })
  }
}
