import { DevstackError } from '../core/error.js'
import type { Instance, Project, Service } from '../core/project.js'
import { decide, delivers, ruleFor, targetOf, type Update } from '../core/update.js'
import type { Clock, Engine, FileBatch, FileChange, FileWatcher, SourceTree } from './ports.js'
import type { Store } from './store.js'

export interface SyncOptions {
  readonly engine: Engine
  readonly store: Store
  readonly clock: Clock
  readonly watcher: FileWatcher
  readonly tree: SourceTree
  /** Carries out what an update asks beyond its files: `restart` and `rebuild`. */
  readonly act: (action: 'restart' | 'rebuild', service: string, reason: string) => Promise<void>
}

/** Brings source files into running containers. */
export interface Sync {
  /** Delivers what differs between the image's Manifest and the host. Run before a container starts: it never runs stale code. */
  reconcile(service: Service, signal: AbortSignal): Promise<void>
  /** Watches the project's rules and delivers each batch, until aborted. */
  watch(project: Project, signal: AbortSignal): Promise<void>
}

export function createSync(options: SyncOptions): Sync {
  let batches = 0
  return {
    async reconcile(service, signal) {
      if (!service.watch.some((rule) => delivers(rule.action))) return
      const instances = await instancesOf(options.engine, service, signal)
      if (instances.length === 0) return
      const files = await options.tree.scan(service, null, signal)
      for (const instance of instances) {
        const manifest = await options.engine.manifest(instance, signal)
        const changes = differences(manifest, files)
        if (changes.length > 0) await deliver(options, service.name, instance, changes, 0, signal)
      }
    },
    async watch(project, signal) {
      const services = Object.values(project.services).filter((service) => service.watch.length > 0)
      const roots = [...new Set(services.flatMap((service) => service.watch.map((rule) => rule.path)))]
      if (roots.length === 0) return
      const ignored = (path: string): boolean =>
        services.every((service) => ruleFor(service, path) === null || options.tree.ignored(service, path))
      for await (const batch of options.watcher.watch(roots, ignored, signal)) {
        batches += 1
        await handleBatch(options, services, batch, batches, signal)
      }
    },
  }
}

/** Writes what is new or differs, deletes what the Manifest names and the host has no more. */
function differences(
  manifest: Readonly<Record<string, string>> | null,
  files: readonly {
    readonly source: string
    readonly target: string
    readonly sha256: string
    readonly mode: number
  }[],
): readonly FileChange[] {
  const writes = files
    .filter((file) => manifest?.[file.target] !== file.sha256)
    .map(({ source, target, mode }): FileChange => ({ type: 'write', source, target, mode }))
  const present = new Set(files.map((file) => file.target))
  const deletes = Object.keys(manifest ?? {})
    .filter((target) => !present.has(target))
    .map((target): FileChange => ({ type: 'delete', target }))
  return [...deletes, ...writes]
}

async function handleBatch(
  options: SyncOptions,
  services: readonly Service[],
  batch: FileBatch,
  number: number,
  signal: AbortSignal,
): Promise<void> {
  const { store } = options
  const updates = decide(services, batch)
  if (updates.length === 0) return
  store.emit({ type: 'filesChanged', batch: number, files: batch })
  for (const update of updates) {
    const service = services.find((candidate) => candidate.name === update.service)
    if (service === undefined) continue
    const paths = update.files.filter((path) => !options.tree.ignored(service, path))
    if (paths.length === 0) continue
    const { action, reason } = update
    store.emit({ type: 'updateDecided', batch: number, service: service.name, action, files: paths, reason })
    try {
      await carryOut(options, service, { ...update, files: paths }, number, signal)
    } catch (error) {
      if (signal.aborted || !(error instanceof DevstackError)) throw error
      store.emit({ type: 'failed', error: error.toInfo() })
    }
  }
}

async function carryOut(
  options: SyncOptions,
  service: Service,
  update: Update,
  batch: number,
  signal: AbortSignal,
): Promise<void> {
  if (delivers(update.action)) {
    const changes = await changesOf(options.tree, service, update.files, signal)
    for (const instance of await instancesOf(options.engine, service, signal))
      await deliver(options, service.name, instance, changes, batch, signal)
  }
  if (update.action === 'rebuild') await options.act('rebuild', service.name, update.reason)
  if (update.action === 'restart' || update.action === 'sync+restart')
    await options.act('restart', service.name, update.reason)
}

async function changesOf(
  tree: SourceTree,
  service: Service,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<readonly FileChange[]> {
  const files = await tree.scan(service, paths, signal)
  const writes = files.map(({ source, target, mode }): FileChange => ({
    type: 'write',
    source,
    target,
    mode,
  }))
  const there = new Set(files.map((file) => file.source))
  const deletes = paths
    .filter((path) => !there.has(path))
    .flatMap((path): FileChange[] => {
      const rule = ruleFor(service, path)
      const target = rule === null ? null : targetOf(rule, path)
      return target === null ? [] : [{ type: 'delete', target }]
    })
  return [...deletes, ...writes]
}

async function instancesOf(
  engine: Engine,
  service: Service,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const observed = await engine.observe(signal)
  return observed.instances.filter(
    (instance) => instance.service === service.name && instance.state !== 'dead',
  )
}

async function deliver(
  options: SyncOptions,
  service: string,
  instance: Instance,
  changes: readonly FileChange[],
  batch: number,
  signal: AbortSignal,
): Promise<void> {
  const begin = options.clock.monotonic()
  const bytes = await options.engine.deliver(instance, changes, signal)
  options.store.emit({
    type: 'delivered',
    batch,
    service,
    instance: instance.id,
    written: changes.flatMap((change) => (change.type === 'write' ? [change.target] : [])),
    deleted: changes.flatMap((change) => (change.type === 'delete' ? [change.target] : [])),
    bytes,
    durationMs: Math.round((options.clock.monotonic() - begin) * 10) / 10,
  })
}
