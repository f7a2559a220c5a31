import { DevstackError } from '../core/error.js'
import type { ApprovalRequested } from '../core/events.js'
import { didYouMean } from '../core/suggest.js'
import type { Store } from './store.js'

export type ApprovalRequest = Omit<ApprovalRequested, 'type'>

/** What waits for a person: a mass delete, a migration, a new plan. */
export interface Approvals {
  /** Asks, and replaces what waited under the same id. `run` is called once it is approved. */
  request(request: ApprovalRequest, run: () => Promise<void>): void
  waits(id: string): boolean
  /** What it was about has gone. */
  withdraw(id: string, reason: string): void
  /**
   * Lets one go and carries it out.
   * @throws DevstackError USAGE where nothing waits under that id
   */
  approve(id: string): Promise<void>
}

export function createApprovals(store: Store): Approvals {
  const waiting = new Map<string, () => Promise<void>>()
  return {
    request(request, run) {
      waiting.set(request.id, run)
      store.emit({ type: 'approvalRequested', ...request })
    },
    waits: (id) => waiting.has(id),
    withdraw(id, reason) {
      if (waiting.delete(id)) store.emit({ type: 'approvalEnded', id, outcome: 'withdrawn', reason })
    },
    async approve(id) {
      const run = waiting.get(id)
      if (run === undefined) throw unknown(id, [...waiting.keys()])
      waiting.delete(id)
      store.emit({ type: 'approvalEnded', id, outcome: 'approved', reason: 'asked for' })
      await run()
    },
  }
}

function unknown(id: string, known: readonly string[]): DevstackError {
  const cause = known.length === 0 ? 'nothing waits for an approval' : `these wait: ${known.join(', ')}`
  return new DevstackError('USAGE', `nothing waits under the name "${id}"`, {
    cause,
    hint: didYouMean(id, known) ?? 'devstack approve --list',
  })
}
