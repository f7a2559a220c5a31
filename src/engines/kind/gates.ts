/** How long a container's gate stays shut where nobody opens it, in milliseconds: DEVSTACK_GATE_SECONDS of the gate script. */
const GATE_MS = 10_000
/** Of two clocks, and of the script's sleeps. */
const SLACK_MS = 2000

/**
 * Which containers have begun their program. Only who opened a gate knows that it is open; one that started long ago has
 * opened by itself.
 */
export interface Gates {
  isOpen(instance: string, startedAt: string | null): boolean
  /** When this process opened it, RFC 3339; null: it did not. */
  openedAt(instance: string): string | null
  opened(instance: string): void
  /** Called with each that is opened; returns what ends it. */
  subscribe(tell: (instance: string) => void): () => void
}

export function createGates(now: () => number): Gates {
  const opened = new Map<string, string>()
  const listeners = new Set<(instance: string) => void>()
  return {
    isOpen: (instance, startedAt) =>
      opened.has(instance) || (startedAt !== null && now() - Date.parse(startedAt) > GATE_MS + SLACK_MS),
    openedAt: (instance) => opened.get(instance) ?? null,
    opened: (instance) => {
      if (opened.has(instance)) return
      opened.set(instance, new Date(now()).toISOString())
      for (const tell of listeners) tell(instance)
    },
    subscribe: (tell) => {
      listeners.add(tell)
      return () => void listeners.delete(tell)
    },
  }
}
