import type { Instance, Service } from '../core/project.js'
import { applyOperation } from './apply-operation.js'
import type { ExpectedStops } from './expected-stops.js'
import type { Live } from './live/live.js'
import type { Clock, Engine } from './ports.js'
import type { Store } from './store.js'

export interface EngineMadeOptions {
  readonly engine: Engine
  readonly stops: ExpectedStops
  readonly store: Store
  readonly clock: Clock
  readonly live: Pick<Live, 'level'>
  /** Of the session. */
  readonly life: AbortSignal
  /** Undefined: the project has none of that name, or was not read yet. */
  readonly service: (name: string) => Service | undefined
  /** Something that goes on beside the session's work broke. */
  readonly failed: (error: unknown) => void
}

/** What a session does for an engine that makes and replaces instances by itself, as Kubernetes does. */
export interface EngineMade {
  /** Keeps its addresses open, from the first `up` on: before it nothing runs, and a short command needs none. */
  publish(): void
  /** Starts an instance whose program waits for its files, unless an `up` that starts its service does. */
  start(instance: Instance): Promise<void>
}

export function createEngineMade(options: EngineMadeOptions): EngineMade {
  const { engine, store, life, failed } = options
  let published = false
  return {
    publish() {
      if (published || engine.publish === undefined) return
      published = true
      engine.publish(store.emit, life).catch((error: unknown) => {
        // The next `up` tries again.
        published = false
        failed(error)
      })
    },
    async start(instance) {
      const service = options.service(instance.service)
      const id = `start ${instance.service}`
      if (service === undefined || store.getState().services[service.name]?.operation?.id === id) return
      const { name } = service
      const cause = 'its instance was replaced'
      try {
        // What it fails with is told as an Event.
        await applyOperation(
          { kind: 'start', id, label: id, cause, service: name, services: [name], dependsOn: [] },
          {
            engine: options.stops,
            store,
            clock: options.clock,
            signal: life,
            level: (created, signal) => options.live.level(service, created, signal),
          },
        )
      } catch (error) {
        failed(error)
      }
    },
  }
}
