import { DevstackError } from '../../core/error.js'

export type Action = 'restart' | 'rebuild'

/** Carries out a restart or a rebuild; aborted with {@link SUPERSEDED} where a newer save asks for another build. */
export type Act = (action: Action, service: string, reason: string, signal: AbortSignal) => Promise<void>

/** The reason of a build that is given up for a newer one: the old container serves on, nothing is stopped. */
export const SUPERSEDED = new DevstackError('CANCELLED', 'a newer save asks for another build')

/** Restarts and rebuilds of one service, one at a time. */
export interface Acting {
  readonly current: Action | null
  /** Why the last one failed; a later one ends it. */
  readonly failure: string | null
  want(action: Action, reason: string): void
  end(): void
}

export function createActing(service: string, act: Act, done: (action: Action) => void): Acting {
  let running: { readonly action: Action; readonly controller: AbortController } | null = null
  let next: { readonly action: Action; readonly reason: string } | null = null
  let failure: string | null = null
  let ended = false

  const begin = (action: Action, reason: string): void => {
    const controller = new AbortController()
    running = { action, controller }
    failure = null
    act(action, service, reason, controller.signal)
      .catch((error: unknown) => {
        if (error === SUPERSEDED || ended) return
        if (!(error instanceof DevstackError)) throw error
        failure = `the next save (the ${action} failed: ${error.why ?? error.message})`
      })
      .finally(() => {
        running = null
        const again = next
        next = null
        if (again !== null && !ended) begin(again.action, again.reason)
        else done(action)
      })
  }

  return {
    get current() {
      return running?.action ?? null
    },
    get failure() {
      return failure
    },
    want(action, reason) {
      if (running === null) return begin(action, reason)
      // A build makes a new container, which is a restart too.
      if (running.action === 'rebuild' && action === 'restart') return
      if (next?.action !== 'rebuild') next = { action, reason }
      if (running.action === 'rebuild') running.controller.abort(SUPERSEDED)
    },
    end() {
      ended = true
    },
  }
}
