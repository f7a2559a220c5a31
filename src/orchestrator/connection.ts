import { DevstackError, exitCodeOf } from '../core/error.js'
import type { ExpectedStops } from './expected-stops.js'
import type { Instance } from '../core/project.js'
import { syncInstances, tellEngineEvent } from './instances.js'
import type { Engine } from './ports.js'
import type { Store } from './store.js'

/** How long an `up` bears an engine that does not answer. */
const AWAY_MS = 10_000

export interface ConnectionOptions {
  readonly engine: Engine
  readonly store: Store
  readonly stops: ExpectedStops
  /** True once the project was read: before that there is nothing to look at again. */
  readonly known: () => boolean
  /** The engine made an instance whose program waits to be brought level. */
  readonly created: (instance: Instance) => void
  /** The engine has been away for too long. */
  readonly lost: (error: DevstackError) => void
}

/** Tells what the engine says as Events, and its going away and coming back. */
export interface Connection {
  /** The stream of events is there. */
  readonly connected: Promise<void>
  /** Until aborted. */
  run(signal: AbortSignal): Promise<void>
}

export function createConnection(options: ConnectionOptions): Connection {
  const { engine, store, stops, known, created, lost } = options
  const { away } = engine
  const connected = Promise.withResolvers<void>()
  /** Runs while the engine does not answer. */
  let timer: NodeJS.Timeout | null = null

  /** What it says is told at once; an `up` waits a moment for its return, and no longer. */
  const isAway = (cause: string): void => {
    store.emit({
      type: 'warned',
      message: `the engine does not answer: ${cause}`,
      hint: `${away.hint}; the session goes on once it answers`,
      place: null,
    })
    const give = (): void => {
      const gone = new DevstackError('ENGINE_GONE', `the ${away.name} went away`, {
        cause: `it has not answered for ${String(AWAY_MS / 1000)} s`,
        hint: `${away.hint}; then: devstack up`,
      })
      lost(gone)
    }
    timer = setTimeout(give, AWAY_MS)
    timer.unref()
  }

  const isBack = async (signal: AbortSignal): Promise<void> => {
    if (timer !== null) {
      clearTimeout(timer)
      timer = null
      store.emit({ type: 'warned', message: 'the engine answers again', hint: null, place: null })
    }
    if (!known()) return
    try {
      syncInstances(store, await engine.observe(signal))
    } catch (error) {
      // Away again: the stream of events breaks as well, and says so.
      if (!(error instanceof DevstackError) || exitCodeOf(error.code) !== 3) throw error
    }
  }

  return {
    connected: connected.promise,
    async run(signal) {
      for await (const event of engine.events(signal)) {
        if (event.type === 'connected') {
          connected.resolve()
          await isBack(signal)
        } else if (event.type === 'lost') {
          isAway(event.cause)
        } else if (event.type === 'created') {
          created(event.instance)
        } else {
          const requested = event.type === 'stopped' && stops.take(event.instance)
          tellEngineEvent(store, event, requested)
        }
      }
    },
  }
}
