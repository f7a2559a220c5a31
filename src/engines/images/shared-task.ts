import type { Progress } from '../../core/events.js'

interface Listener {
  readonly signal: AbortSignal
  readonly progress: (progress: Progress) => void
  readonly output: (line: string) => void
}

/** Work that several wait for and that is done once. */
export interface SharedTask<L extends Listener> {
  /** Waits for the work, which begins with the first to join; rejects with the signal's reason when that aborts. */
  join(listener: L): Promise<void>
}

/**
 * All who joined see the same progress. The work is aborted when the last of them left; who joins after a failure or an
 * abort begins it anew.
 */
export function createSharedTask<L extends Listener>(
  work: (merged: Listener) => Promise<void>,
): SharedTask<L> {
  const listeners = new Set<L>()
  let running: { readonly done: Promise<void>; readonly abort: AbortController } | null = null

  const begin = (): { readonly done: Promise<void>; readonly abort: AbortController } => {
    const abort = new AbortController()
    const done = work({
      signal: abort.signal,
      progress: (progress) => {
        for (const listener of listeners) listener.progress(progress)
      },
      output: (line) => {
        for (const listener of listeners) listener.output(line)
      },
    }).finally(() => {
      if (running?.abort === abort) running = null
    })
    return { done, abort }
  }

  return {
    async join(listener) {
      listener.signal.throwIfAborted()
      listeners.add(listener)
      running ??= begin()
      const { done, abort } = running
      const leave = (): void => {
        listeners.delete(listener)
        if (listeners.size === 0) abort.abort(listener.signal.reason)
      }
      listener.signal.addEventListener('abort', leave, { once: true })
      try {
        await Promise.race([done, rejectOnAbort(listener.signal)])
        listener.signal.throwIfAborted()
      } catch (error) {
        // The last to leave waits until nothing of the work is left.
        if (abort.signal.aborted) await done.catch(() => undefined)
        throw error
      } finally {
        listener.signal.removeEventListener('abort', leave)
        listeners.delete(listener)
      }
    },
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(signal.reason as Error)
      },
      { once: true },
    )
  })
}
