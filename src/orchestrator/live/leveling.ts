import type { Instance } from '../../core/project.js'
import { isWithin } from '../../core/update.js'
import type { FileChange, SourceScan } from '../ports.js'
import { describe, findChanges, hostPathOf } from './changes.js'
import { readCopy } from './instance-copy.js'
import { LiveInstance } from './live-instance.js'
import type { ServiceLive } from './service-live.js'

/** Compares what an instance holds with the host, whole, and brings it level. */
export interface Leveling {
  /** One that may not run yet. */
  level(instance: Instance, signal: AbortSignal): Promise<LiveInstance>
  /** One that was started: its processes are attached to. */
  running(instance: Instance): Promise<void>
  /** It is gone. */
  forget(id: string): void
}

export function createLeveling(owner: ServiceLive): Leveling {
  const { options, service } = owner
  const { engine, record, sources } = options
  /** One that was started before this was not started under anybody's eyes. */
  const since = options.clock.now()
  const supported = new Set<string>()
  /** All of the host's files were looked at once. */
  let looked = false

  const known = async (instance: Instance, signal: AbortSignal): Promise<LiveInstance> => {
    const there = owner.instances.get(instance.id)
    if (there !== undefined) return there
    const live = new LiveInstance(await readCopy(engine, record, instance, signal))
    owner.instances.set(instance.id, live)
    return live
  }

  const support = async (instance: Instance, signal: AbortSignal): Promise<void> => {
    if (owner.preset === null || supported.has(instance.id)) return
    const files = await owner.preset.support(service)
    if (files.length > 0) await engine.deliver(instance, files, signal)
    supported.add(instance.id)
  }

  /** Host paths of what the instance holds and the host has no more. What is there and ignored or unreadable is none of them. */
  const missing = async (
    live: LiveInstance,
    scan: SourceScan,
    signal: AbortSignal,
  ): Promise<readonly string[]> => {
    const there = new Set(scan.files.map(({ target }) => target))
    const paths = [...live.copy.held.keys()]
      .filter((target) => !there.has(target))
      .flatMap((target) => hostPathOf(service, target) ?? [])
      .filter((path) => !scan.refused.some((refused) => isWithin(refused.path, path)))
    return paths.length === 0 ? [] : (await sources.scan(service, paths, signal)).gone
  }

  const level: Leveling['level'] = async (instance, signal) =>
    await owner.exclusive(async () => {
      const live = await known(instance, signal)
      // As it is now: how a file is deleted depends on whether it runs.
      live.copy = live.copy.at(instance)
      await support(instance, signal)
      const scan = await sources.scan(service, null, signal)
      owner.warn(scan)
      const whole = { ...scan, gone: await missing(live, scan, signal) }
      // The first look at files that are not delivered is no change: it is what later ones are compared with.
      if (!looked) findChanges(service, { ...scan, gone: [] }, [], owner.hashes)
      looked = true
      const changes = findChanges(service, whole, [live.copy], owner.hashes)
      if (changes !== null)
        await owner.deliver(changes, [live], `brought level: ${describe(changes.files)}`, signal)
      return live
    })

  return {
    level,
    async running(instance) {
      const { signal } = owner
      const live = await owner.exclusive(() => known(instance, signal))
      const begins =
        instance.state === 'running' && (!live.running || live.instance.startedAt !== instance.startedAt)
      if (begins) {
        // Before anything is delivered: what comes now may come too late for its process.
        live.started(instance)
        live.joined = Date.parse(instance.startedAt ?? '') < since
      }
      const early = live.running ? live.earlyDeletes : []
      const deletes = early.map((target): FileChange => ({ type: 'delete', target }))
      if (deletes.length > 0) await engine.deliver(instance, deletes, signal)
      if (live.running) live.endEarly()
      await level(instance, signal)
      if (live.running && live.attaching === null) owner.taking.attach(live)
    },
    forget: (id) => void supported.delete(id),
  }
}
