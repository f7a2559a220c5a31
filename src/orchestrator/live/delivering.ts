import { DevstackError } from '../../core/error.js'
import type { Delivery, FileChange } from '../ports.js'
import { hostPathOf, type Changes, type DueCommand } from './changes.js'
import type { LiveInstance } from './live-instance.js'
import type { ServiceLive } from './service-live.js'

/** Brings changes into one instance and tells what became of them. */
export interface Delivering {
  deliver(live: LiveInstance, found: Changes, signal: AbortSignal): Promise<void>
}

export function createDelivering(owner: ServiceLive): Delivering {
  const { options, service, failures } = owner
  /** Targets that could not be written at the last attempt. */
  const tried = new Set<string>()
  /** A rebuild was asked for because a delivery failed; none has succeeded since. */
  let repaired = false

  /** A file may have gone while it was sent, which the next look tells; what fails twice does not get through by itself. */
  const tryAgain = (failed: Delivery['failed'], changes: readonly FileChange[]): void => {
    const failing = new Map(failed.map(({ target, cause }) => [target, cause]))
    for (const { target } of changes) {
      if (failing.has(target)) continue
      tried.delete(target)
      failures.end(target)
    }
    for (const [target, cause] of failing) {
      const path = hostPathOf(service, target)
      const message = `${path ?? target}: ${cause}`
      if (tried.has(target)) failures.add('deliver', target, { message, waitsFor: 'the next save' })
      else if (path !== null) owner.changed([path])
      tried.add(target)
    }
  }

  /** The instance may be gone, which is no failure. Else a rebuild brings what could not be delivered. */
  const gaveUp = async (live: LiveInstance, error: DevstackError, signal: AbortSignal): Promise<void> => {
    const { instances } = await options.engine.observe(signal)
    if (!instances.some(({ id }) => id === live.instance.id)) return owner.forget(live.instance.id)
    const repair = service.build !== null && !repaired
    repaired = true
    const message = error.why ?? error.message
    failures.add('deliver', 'delivery', { message, waitsFor: repair ? 'a rebuild' : 'the next save' })
    if (repair) owner.act('rebuild', `a delivery failed: ${message}`)
  }

  return {
    async deliver(live, found, signal) {
      const { store, clock } = options
      const changes = live.copy.differences(found.present, found.gone)
      for (const due of found.commands) owe(live, due)
      live.delivered(found.mounted, clock.now())
      if (changes.length === 0) return
      const begin = clock.monotonic()
      try {
        const { bytes, failed } = await live.copy.deliver(changes, signal)
        const targeted = found.commands.flatMap((due) => due.targets)
        if (targeted.length > 0) await live.copy.doubt(targeted)
        const refused = new Set(failed.map(({ target }) => target))
        tryAgain(failed, changes)
        const written = targets(changes, refused, false)
        const deleted = targets(changes, refused, true)
        live.delivered({ written, deleted }, clock.now())
        repaired = false
        failures.end('delivery')
        const durationMs = Math.round((clock.monotonic() - begin) * 10) / 10
        const about = { batch: owner.batch, service: service.name, instance: live.instance.id }
        store.emit({ type: 'delivered', ...about, written, deleted, bytes, durationMs })
      } catch (error) {
        if (signal.aborted || !(error instanceof DevstackError)) throw error
        await gaveUp(live, error, signal)
      }
    },
  }
}

/** Each command once, whichever rules and saves ask for it. */
function owe(live: LiveInstance, due: DueCommand): void {
  const key = JSON.stringify(due.command)
  const known = live.due.get(key)?.targets ?? []
  live.due.set(key, { ...due, targets: [...new Set([...known, ...due.targets])] })
}

function targets(
  changes: readonly FileChange[],
  except: ReadonlySet<string>,
  deleted: boolean,
): readonly string[] {
  return changes
    .filter(({ type, target }) => (type === 'delete') === deleted && !except.has(target))
    .map(({ target }) => target)
}
