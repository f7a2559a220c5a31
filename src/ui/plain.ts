import type { Event } from '../core/events.js'
import { fitText, serviceRows, summaryText, mainUrl } from '../core/select.js'
import type { StackState } from '../core/state.js'
import { cells, sanitise } from '../core/text.js'
import { LineWriter } from './line-writer.js'
import type { LineStream, Renderer } from './line-writer.js'
import { paintFor, prefixStyle } from './paint.js'
import type { Style } from './paint.js'
import type { Note } from './note.js'
import { notesFor } from './plain-lines.js'
import type { Source } from './source.js'

export interface PlainOptions {
  readonly color: boolean
  /** Also the plan and what goes without saying. */
  readonly verbose: boolean
}

/** Who speaks where no service does. */
const STACK = 'devstack'
/** Characters that may wait for a slow reader before log lines are left out. */
const PENDING_LIMIT = 8_000_000

const LOOKS: Readonly<Record<Note['look'], Style | null>> = {
  plain: null,
  log: null,
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  quiet: 'dim',
}

/**
 * The lines that tell an Event: `api      | healthy, 2.4 s`. Pure. No line moves the cursor or carries a control
 * sequence that is not ours, whatever a container printed.
 */
export function linesFor(
  event: Event,
  before: StackState,
  after: StackState,
  options: PlainOptions,
): readonly string[] {
  return notesFor(event, before, after, options.verbose).map((note) => lineOf(note, after, options))
}

/** Where the stack is, for somebody who joins: one line a service and the summary. */
export function linesForState(state: StackState, now: number, options: PlainOptions): readonly string[] {
  const rows = serviceRows(state, now).map((row): Note => ({
    service: row.name,
    text: fitText(row.text, 200),
    look: row.tone === 'good' ? 'good' : row.tone === 'bad' ? 'bad' : 'quiet',
  }))
  const summary: Note = { service: null, text: summaryText(state), look: 'plain' }
  const url = state.phase === 'ready' ? mainUrl(state) : null
  const address: readonly Note[] = url === null ? [] : [{ service: null, text: url, look: 'good' }]
  return [...rows, ...address, summary].map((note) => lineOf(note, state, options))
}

function lineOf(note: Note, state: StackState, options: PlainOptions): string {
  const paint = paintFor(options.color)
  const names = Object.keys(state.services)
  const width = Math.max(STACK.length, ...names.map(cells))
  const name = note.service ?? STACK
  const prefix = `${name}${' '.repeat(Math.max(0, width - cells(name)))} |`
  const index = names.indexOf(name)
  const text = sanitise(note.text).trimEnd()
  const style = LOOKS[note.look]
  const head = paint(index === -1 ? 'bold' : prefixStyle(index), prefix)
  return text === '' ? head : `${head} ${style === null ? text : paint(style, text)}`
}

/** Prints the story of the stack as prefixed lines: for pipes, files, CI and those who prefer to read. */
export function renderPlain(
  source: Source,
  options: PlainOptions & { readonly stdout: LineStream; readonly now: () => number },
): Renderer {
  const writer = new LineWriter(options.stdout)
  let before = source.getState()
  const tell = (lines: readonly string[]): void => {
    for (const line of lines) writer.write(line)
  }
  if (before.upSince !== null) tell(linesForState(before, options.now(), options))
  const unsubscribe = source.subscribe((event, after) => {
    const isLog = event?.type === 'logged'
    if (event === null) tell(linesForState(after, options.now(), options))
    else if (isLog && writer.pending > PENDING_LIMIT)
      tell(
        linesFor(
          { ...event, lines: [], dropped: event.dropped + event.lines.length },
          before,
          after,
          options,
        ),
      )
    else tell(linesFor(event, before, after, options))
    before = after
  })
  return {
    close: async () => {
      unsubscribe()
      await writer.flush()
    },
  }
}
