import type { Event, LogLine } from '../core/events.js'
import type { Intent } from '../core/intents.js'
import type { StackState } from '../core/state.js'

/** What a renderer looks at: a client of the session's socket, or a store in tests. */
export interface Source {
  getState(): StackState
  /**
   * Calls `listener` with each Event and the state after it, in order; with null where the state was replaced as a whole
   * (a fresh snapshot). Returns what ends it.
   */
  subscribe(listener: (event: Event | null, state: StackState) => void): () => void
  /** The last log lines by service, as of the moment of reading or of the last snapshot; what follows comes as Events. */
  readonly tails: Readonly<Record<string, readonly LogLine[]>>
  /** Resolves when the session has accepted it; rejects with a DevstackError. */
  send(intent: Intent): Promise<void>
}
