import type { ServiceLive } from './service-live.js'

export interface FailureText {
  readonly message: string
  readonly waitsFor: string
  readonly output?: readonly string[]
}

/** Why a service is stale: each reason stands until what failed has succeeded, whatever else succeeds meanwhile. */
export interface Failures {
  /** For people: `the next save (pip install ended with 1)`. */
  readonly first: string | null
  /** `key` names what failed: a command, a target. */
  add(step: 'deliver' | 'exec', key: string, text: FailureText): void
  /** It succeeded. */
  end(key: string): void
  /** The instance is a new one, with everything in it. */
  clear(): void
}

export function createFailures(owner: ServiceLive): Failures {
  const standing = new Map<string, string>()
  return {
    get first() {
      const [text] = standing.values()
      return text ?? null
    },
    add(step, key, { message, waitsFor, output = [] }) {
      const text = `${waitsFor} (${message})`
      if (standing.get(key) === text && step === 'deliver') return
      standing.set(key, text)
      const about = { batch: owner.batch, service: owner.service.name, place: null }
      owner.options.store.emit({ type: 'updateFailed', ...about, step, message, output, waitsFor })
    },
    end: (key) => void standing.delete(key),
    clear: () => standing.clear(),
  }
}
