import type { Progress } from '../../../core/events.js'

/** What kind says it does, in its order, and how many seconds each takes where nothing is known yet. */
const STEPS: readonly (readonly [text: string, seconds: number])[] = [
  ['Ensuring node image', 0.2],
  ['Preparing nodes', 3],
  ['Writing configuration', 1],
  ['Starting control-plane', 14],
  ['Installing CNI', 1],
  ['Installing StorageClass', 0.5],
  ['Joining worker nodes', 8],
]

/** How long each step took the last time, in milliseconds, by its text. */
export type UsualTimes = Readonly<Record<string, number>>

/** Follows what kind prints. */
export interface CreationProgress {
  /** One of its lines. */
  line(text: string): void
  /** Tells how far it is; called once a second, and after each line. */
  tell(): void
  /** What each step took. */
  took(): UsualTimes
}

/** `several`: there are worker nodes to join. `now`: monotonic milliseconds. */
export function followCreation(
  usual: UsualTimes,
  several: boolean,
  now: () => number,
  progress: (progress: Progress) => void,
): CreationProgress {
  const steps = STEPS.filter(([text]) => several || text !== 'Joining worker nodes')
  const usualOf = ([text, seconds]: (typeof STEPS)[number]): number => usual[text] ?? seconds * 1000
  const whole = steps.reduce((sum, step) => sum + usualOf(step), 0)
  const took: Record<string, number> = {}
  let current = -1
  let since = now()

  const tell = (): void => {
    const step = steps[current]
    if (step === undefined) return
    const elapsed = now() - since
    const before = steps.slice(0, current).reduce((sum, one) => sum + usualOf(one), 0)
    // A step that takes longer than usual stands still before its end: it is not said to be over.
    const within = Math.min(elapsed, usualOf(step) * 0.95)
    progress({
      text: `${step[0]}, ${seconds(elapsed)} s of about ${seconds(usualOf(step))} s`,
      step: current + 1,
      steps: steps.length,
      percent: Math.min(99, Math.round(((before + within) / whole) * 100)),
      bytes: null,
      totalBytes: null,
    })
  }
  return {
    tell,
    took: () => took,
    line(text) {
      // ` • Preparing nodes 📦   ...` begins a step, ` ✓ Preparing nodes 📦` ends it.
      const index = steps.findIndex(([name]) => text.includes(name))
      const step = steps[index]
      if (step === undefined) return
      if (index !== current) {
        current = index
        since = now()
      }
      if (text.includes('✓')) took[step[0]] = Math.round(now() - since)
      tell()
    },
  }
}

function seconds(ms: number): string {
  return ms >= 50 && ms < 950 ? (ms / 1000).toFixed(1) : String(Math.round(ms / 1000))
}
