import type { SourcePosition } from '../../core/error.js'
import type { Event, LogLine } from '../../core/events.js'
import type { StackState } from '../../core/state.js'
import { liveNotes } from '../plain-updates.js'

/** What an Event of live update puts among its service's log lines: `↻ live in 31 ms: shop/app.py`. */
export function updateLog(
  event: Event,
  before: StackState,
  after: StackState,
): readonly { readonly service: string; readonly lines: readonly LogLine[] }[] {
  switch (event.type) {
    case 'updateDecided': {
      const rules = event.rules.map((rule) => ({ ...rule, at: nearby(rule.at, after) }))
      return linesOf({ ...event, rules }, before, after)
    }
    case 'commandRan':
    case 'freshnessChanged':
      return linesOf(event, before, after)
    case 'updateFailed':
      return linesOf({ ...event, place: nearby(event.place, after) }, before, after)
    default:
      return []
  }
}

function linesOf(
  event: Extract<Event, { type: 'updateDecided' | 'commandRan' | 'freshnessChanged' | 'updateFailed' }>,
  before: StackState,
  after: StackState,
) {
  const mark = event.type === 'updateFailed' ? '✗' : '↻'
  const notes = liveNotes(event, before, after, false)
  const lines = notes.map(({ text }, index): LogLine => ({
    at: event.at,
    stream: 'stdout',
    text: `${index === 0 ? mark : ' '} ${text}`,
  }))
  return lines.length === 0 ? [] : [{ service: event.service, lines }]
}

/** As seen from the project's folder. */
function nearby(place: SourcePosition | null, { folder }: StackState): SourcePosition | null {
  if (place?.file.startsWith(`${folder}/`) !== true) return place
  return { ...place, file: place.file.slice(folder.length + 1) }
}
