import type { TakeUpResult } from '../../orchestrator/ports.js'
import { numberOf, partsOf, textOf, textsOf, type Message } from '../json-lines.js'
import { failureOf } from '../take-up.js'

/** The answer to a reload. */
export function takenResult(message: Message): TakeUpResult {
  switch (message.type) {
    case 'reloaded':
      return { type: 'taken', what: textOf(message['what']) ?? 'app', detail: detailOf(message) }
    case 'failed':
      return failure(message['error'])
    case 'restart':
      return { type: 'restart', reason: textOf(message['reason']) ?? 'the reloader asks for it' }
    default:
      return { type: 'unproven', reason: `the reloader answered "${message.type}"` }
  }
}

/** How a server stood when it was attached to. One that is not the reloader read everything when it started. */
export function firstResult(hello: Message): TakeUpResult {
  if (hello['server'] === 'original') {
    return { type: 'taken', what: 'start', detail: 'read when the server started' }
  }
  return (
    stateResult(hello, 'start') ?? {
      type: 'unproven',
      reason: `the reloader is ${textOf(hello['state']) ?? 'silent'}`,
    }
  )
}

/** What the reloader told by itself: a worker died and was replaced, or none can be. */
export function changedResult(message: Message): TakeUpResult | null {
  return message.type === 'changed' ? stateResult(message, 'app') : null
}

/** Where an older generation serves because the files as they are do not load, they are not taken up. */
function stateResult(message: Message, what: string): TakeUpResult | null {
  const { state, error } = message
  if (state === 'failed' || (state === 'serving' && isThere(error))) return failure(error)
  return state === 'serving' ? { type: 'taken', what, detail: detailOf(message) } : null
}

function isThere(error: unknown): boolean {
  return error !== null && error !== undefined
}

/** `generation 2, 2 workers, 17 ms`. */
function detailOf(message: Message): string {
  const { workers, generation, ms } = message
  const count = Array.isArray(workers) ? workers.length : null
  const total = numberOf(partsOf(ms)['total'])
  const generationNumber = numberOf(generation)
  const parts = [
    generationNumber === null ? null : `generation ${String(generationNumber)}`,
    count === null ? null : `${String(count)} worker${count === 1 ? '' : 's'}`,
    total === null ? null : `${String(Math.round(total))} ms`,
  ]
  return parts.filter((part) => part !== null).join(', ')
}

function failure(value: unknown): TakeUpResult {
  const error = partsOf(value)
  const output = textsOf(error['traceback']).flatMap((text) => text.trimEnd().split('\n'))
  return failureOf(error, 'the app does not start', output)
}
