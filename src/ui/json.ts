import { EVENT_SCHEMA } from '../core/events.js'
import type { Event } from '../core/events.js'
import { LineWriter } from './line-writer.js'
import type { LineStream, Renderer } from './line-writer.js'
import type { Source } from './source.js'

/** Characters that may wait for a slow reader before log text is left out. */
const PENDING_LIMIT = 8_000_000

/** One Event as `--ui json` prints it: schema, number, time and type first. */
export function jsonLine(event: Event): string {
  const { seq, at, type, ...rest } = event
  return JSON.stringify({ schema: EVENT_SCHEMA, seq, at, type, ...rest })
}

/** An Event without its log text, which is counted as dropped: numbers stay without gaps, memory stays bounded. */
export function withoutText(event: Event): Event {
  if (event.type !== 'logged') return event
  return { ...event, lines: [], dropped: event.dropped + event.lines.length }
}

/** Prints every Event, one a line, and nothing else. */
export function renderJson(source: Source, options: { readonly stdout: LineStream }): Renderer {
  const writer = new LineWriter(options.stdout)
  const unsubscribe = source.subscribe((event) => {
    if (event === null) return
    writer.write(jsonLine(writer.pending > PENDING_LIMIT ? withoutText(event) : event))
  })
  return {
    close: async () => {
      unsubscribe()
      await writer.flush()
    },
  }
}
