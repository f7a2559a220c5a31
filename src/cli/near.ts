import { relative } from 'node:path'
import type { ErrorInfo, SourcePosition } from '../core/error.js'
import type { Event } from '../core/events.js'

// Positions are absolute in Events and JSON. For people they are told as seen from their current folder where that is
// shorter, as compilers do.

/** The error with its files as seen from `cwd`. */
export function nearError(error: ErrorInfo, cwd: string): ErrorInfo {
  return {
    ...error,
    at: nearPosition(error.at, cwd),
    problems: error.problems.map((problem) => ({ ...problem, at: nearPosition(problem.at, cwd) })),
  }
}

/** The Event with its files as seen from `cwd`. */
export function nearEvent(event: Event, cwd: string): Event {
  switch (event.type) {
    case 'failed':
    case 'operationFailed':
      return { ...event, error: nearError(event.error, cwd) }
    case 'warned':
      return { ...event, place: nearPosition(event.place, cwd) }
    default:
      return event
  }
}

function nearPosition(at: SourcePosition | null, cwd: string): SourcePosition | null {
  if (at === null) return null
  const file = relative(cwd, at.file)
  return file.length < at.file.length ? { ...at, file } : at
}
