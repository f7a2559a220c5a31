/** Tells that the machine slept, or stood still: every connection may be dead by then without a word. */
export interface Wakes {
  /** Returns what ends it. Nothing ticks while nobody listens. */
  onWake(tell: () => void): () => void
}

/** A look at the clock costs nothing and asks nobody anything. */
const EVERY_MS = 5000
/** The clock went on by so much more than the timer. */
const JUMP_MS = 5000

export function createWakes(now: () => number = Date.now): Wakes {
  const listeners = new Set<() => void>()
  let timer: NodeJS.Timeout | null = null
  let last = 0

  const tick = (): void => {
    const before = last
    last = now()
    if (last - before < EVERY_MS + JUMP_MS) return
    for (const tell of listeners) tell()
  }

  return {
    onWake(tell) {
      // Each call is a listener of its own, also of the same function.
      const listener = (): void => tell()
      listeners.add(listener)
      if (timer === null) {
        last = now()
        timer = setInterval(tick, EVERY_MS)
        timer.unref()
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0 || timer === null) return
        clearInterval(timer)
        timer = null
      }
    },
  }
}
