import type { Clock } from '../orchestrator/ports.js'

/** This machine's time. */
export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
