import { DevstackError, exitCodeOf } from '../core/error.js'
import type { StackState } from '../core/state.js'
import { look } from '../orchestrator/look.js'
import type { InstanceUsage } from '../orchestrator/ports.js'
import { systemClock } from './clock.js'
import { joinReadable } from './join.js'
import { createEngine } from './engine.js'
import { type StackRef } from './stack.js'

export interface ReadState {
  readonly state: StackState
  /** From the session; null where none runs. */
  readonly usage: readonly InstanceUsage[] | null
  /** Why the session's engine does not answer now: the state is what it was before. */
  readonly away: DevstackError | null
}

/** What is: from the session, or where none runs that can be read from the engine itself. Changes nothing. */
export async function readState(
  stack: StackRef,
  env: Readonly<Record<string, string | undefined>>,
  withUsage = false,
): Promise<ReadState> {
  const client = await joinReadable(stack)
  if (client === null) {
    const engine = await createEngine(stack, env)
    const state = await look(engine, systemClock, stack.name, AbortSignal.timeout(60_000))
    return { state, usage: null, away: null }
  }
  try {
    if (Object.keys(client.getState().services).length === 0) await client.send({ type: 'look' })
    const usage = withUsage ? await client.usage().catch(awayOrThrow) : null
    const away = usage instanceof DevstackError ? usage : null
    return { state: client.getState(), usage: usage instanceof DevstackError ? null : usage, away }
  } finally {
    client.close()
  }
}

function awayOrThrow(error: unknown): DevstackError {
  if (error instanceof DevstackError && exitCodeOf(error.code) === 3) return error
  throw error
}
