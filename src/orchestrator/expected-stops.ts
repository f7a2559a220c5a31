import type { Operation } from '../core/plan.js'
import type { ApplyContext, Engine } from './ports.js'
import type { Store } from './store.js'

/** Knows which instances devstack itself is about to end, so that their end is told from a failure. */
export interface ExpectedStops {
  /** As `engine.apply`, and remembers whom the operation ends. */
  apply(operation: Operation, context: ApplyContext): Promise<void>
  /** True once for each instance that an operation ended. */
  take(instance: string): boolean
}

export function createExpectedStops(engine: Engine, store: Store): ExpectedStops {
  const expected = new Set<string>()
  return {
    async apply(operation, context) {
      const ends = operation.kind === 'create' || operation.kind === 'stop' || operation.kind === 'remove'
      const { services } = store.getState()
      const ids = ends
        ? operation.services.flatMap((name) => Object.keys(services[name]?.instances ?? {}))
        : []
      for (const id of ids) expected.add(id)
      try {
        await engine.apply(operation, context)
      } catch (error) {
        for (const id of ids) expected.delete(id)
        throw error
      }
    },
    take: (instance) => expected.delete(instance),
  }
}
