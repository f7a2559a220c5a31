import { setTimeout as sleep } from 'node:timers/promises'
import type { Emit } from '../../core/events.js'
import type { Connected } from './connection.js'
import { createForwards } from './forward/forwards.js'
import type { Forwards, ForwardTarget } from './forward/forwards.js'
import type { KindContext } from './options.js'
import type { KindResolved } from './resolve.js'

/** The published ports of a stack on this machine. */
export interface Addresses {
  /** This process listens there. */
  holds(port: number): boolean
  /** The project was read anew. */
  changed(): void
  /** Until aborted. @throws DevstackError PORT_TAKEN */
  publish(emit: Emit, signal: AbortSignal): Promise<void>
}

const LOOK_MS = 1000

export function createAddresses(context: () => KindContext, resolved: () => KindResolved | null): Addresses {
  let forwards: Forwards | null = null
  let changed: () => void = () => undefined
  return {
    holds: (port) => forwards?.holds(port) === true,
    changed: () => changed(),
    async publish(emit, signal) {
      const { kube, feed } = await waitForCluster(context(), signal)
      const { connection, options } = context()
      const told = new Map<string, string | null>()
      const own = createForwards({
        kube,
        feed,
        wakes: connection.wakes,
        now: Date.now,
        portOwner: options.compose.portOwner,
        changed: ({ service, target, ok, cause }) => {
          const failure = ok === false ? (cause ?? 'nothing gets through') : null
          const key = `${service}/${String(target)}`
          if ((told.get(key) ?? null) === failure) return
          told.set(key, failure)
          emit({ type: 'addressChecked', service, target, failure })
        },
      })
      forwards = own
      const over = Promise.withResolvers<void>()
      changed = () => void own.set(targetsOf(resolved())).catch(over.reject)
      changed()
      signal.addEventListener('abort', () => over.resolve(), { once: true })
      if (signal.aborted) over.resolve()
      try {
        await over.promise
      } finally {
        changed = () => undefined
        forwards = null
        await own.close()
      }
    },
  }
}

function targetsOf(resolved: KindResolved | null): readonly ForwardTarget[] {
  if (resolved === null) return []
  const { services } = resolved.resolution.project
  return resolved.addresses.flatMap(({ selector, service, port }) => {
    const settled = services[service]?.ports.find(
      ({ target, protocol }) => target === port.target && protocol === port.protocol,
    )
    return settled === undefined
      ? []
      : [{ service, port: settled, route: { selector, targetPort: port.target } }]
  })
}

/** An `up` makes one: until then there is nothing to lead to. */
async function waitForCluster({ connection }: KindContext, signal: AbortSignal): Promise<Connected> {
  for (;;) {
    const connected = await connection.find(signal)
    if (connected !== null) return connected
    await sleep(LOOK_MS, undefined, { signal })
  }
}
