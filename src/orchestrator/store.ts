import type { Emit, Event } from '../core/events.js'
import { reduce } from '../core/reduce.js'
import { initialState, type StackState } from '../core/state.js'
import type { Clock } from './ports.js'

export type StoreListener = (event: Event, state: StackState) => void

/** The one holder of the {@link StackState}. Everything reads it; it changes by Events only. */
export interface Store {
  readonly emit: Emit
  getState(): StackState
  /** Every Event so far while they are few, so that who started the session hears its beginning; null later. */
  beginning(): readonly Event[] | null
  /** The listener hears every Event after the call. Returns the way to stop. */
  subscribe(listener: StoreListener): () => void
}

const BEGINNING = 100

/** First-in first-out: an Event that a listener emits is dispatched after the one that it hears. */
export function createStore(clock: Clock): Store {
  let state: StackState = initialState
  let seq = 0
  let dispatching = false
  const queue: Event[] = []
  const first: Event[] = []
  const listeners = new Set<StoreListener>()

  const drain = (): void => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      state = reduce(state, event)
      if (first.length < BEGINNING) first.push(event)
      for (const listener of listeners) listener(event, state)
    }
  }

  return {
    emit(body) {
      seq += 1
      queue.push({ seq, at: new Date(clock.now()).toISOString(), ...body })
      if (dispatching) return
      dispatching = true
      try {
        drain()
      } finally {
        dispatching = false
      }
    },
    getState: () => state,
    beginning: () => (state.seq <= BEGINNING ? first : null),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
