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
    case 'updateFailed':
      return { ...event, place: nearPosition(event.place, cwd) }
    case 'updateDecided':
      // Only where the rules are written: their paths tell the files by their shortest name.
      return { ...event, rules: event.rules.map((rule) => ({ ...rule, at: nearPosition(rule.at, cwd) })) }
    case 'broughtBack':
      return { ...event, files: event.files.map((file) => nearPath(file, cwd)) }
    default:
      return event
  }
}

/** An absolute path as seen from `cwd`, where that is shorter. */
export function nearPath(path: string, cwd: string): string {
  const seen = relative(cwd, path)
  return seen !== '' && seen.length < path.length ? seen : path
}

function nearPosition(at: SourcePosition | null, cwd: string): SourcePosition | null {
  return at === null ? null : { ...at, file: nearPath(at.file, cwd) }
}
