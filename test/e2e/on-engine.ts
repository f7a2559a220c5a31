import { describe } from 'vitest'
import { engineIsThere } from '../contract/compose-there.js'

const there = await engineIsThere()
if (!there)
  process.stderr.write('skipped: no Docker engine answers (DEVSTACK_ENGINES=compose makes this a failure)\n')

/** A `describe` for the real engine: skipped, and said so, where none answers; a failure where DEVSTACK_ENGINES=compose. */
export const onEngine: ReturnType<typeof describe.skipIf> = describe.skipIf(!there)

/** How often a scenario of the scoreboard runs: a sample, or with DEVSTACK_SCOREBOARD=1 all of it. */
export function rounds(sample: number, whole: number): number {
  return process.env['DEVSTACK_SCOREBOARD'] === '1' ? whole : sample
}

/** The same numbers from 0 to 1 in each run (a linear congruential generator), so that what failed can be seen again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
