import { fitText, serviceRows, timeline } from '../../core/select.js'
import type { ServiceRow, TimelineBar, Tone } from '../../core/select.js'
import type { StackState } from '../../core/state.js'
import { cells, formatDuration, pad } from '../../core/text.js'
import { progressBar, timelineBar } from './bars.js'
import { columnsFor } from './layout.js'
import type { Columns, Layout, Size } from './layout.js'
import type { UiState } from './ui-state.js'

/** The table of services, every cell already cut and filled. */
export interface TableView {
  readonly head: string | null
  readonly rows: readonly RowView[]
  /** Rows that the terminal has no room for. */
  readonly above: number
  readonly below: number
  readonly height: number
}

export interface RowView {
  readonly selected: boolean
  /** The table has the keys. */
  readonly active: boolean
  readonly number: string
  readonly glyph: string
  readonly tone: Tone
  readonly name: string
  readonly state: string
  readonly fresh: string
  readonly freshTone: Tone
  readonly address: string
  readonly time: string
  readonly bar: string
  readonly barTone: Tone | 'critical'
}

/** What the table is computed from. */
export interface TableInput {
  readonly state: StackState
  readonly ui: UiState
  readonly size: Size
  readonly now: number
  readonly wasReady: boolean
}

/** What is shown of the services at `now`, and in how many milliseconds a shown time changes (null: never). */
export function tableView(
  input: TableInput,
  layout: Layout,
): { readonly table: TableView | null; readonly tickMs: number | null } {
  const { state, ui, size, now, wasReady } = input
  const rows = serviceRows(state, now)
  const still = serviceRows(state, null)
  const tickMs = tickOf(rows, state, now)
  if (layout.table <= 0) return { table: null, tickMs }
  const columns = columnsOf(rows, state, size, wasReady)
  const { totalMs, bars } = timeline(state, now)
  const selected = rows.findIndex((row) => row.name === ui.selected)
  const above = Math.max(0, Math.min(selected - Math.floor(layout.table / 2), rows.length - layout.table))
  const shown = rows.slice(above, above + layout.table)
  const active = ui.focus === 'services'
  return {
    tickMs,
    table: {
      head: layout.columnHead === 0 ? null : headOf(columns),
      rows: shown.map((row, index) => ({
        selected: row.name === ui.selected,
        active,
        number: columns.number ? numberOf(above + index) : '',
        ...rowOf(row, still[above + index] ?? row, bars[row.name], totalMs, columns),
      })),
      above,
      below: Math.max(0, rows.length - above - shown.length),
      height: layout.table,
    },
  }
}

/** While the stack comes up for the first time, the states have more to say than the addresses. */
function columnsOf(rows: readonly ServiceRow[], state: StackState, size: Size, wasReady: boolean): Columns {
  const settled = wasReady || (state.phase !== 'comingUp' && state.phase !== 'idle')
  return columnsFor(size, {
    name: Math.max(7, ...rows.map((row) => cells(row.name))),
    address: settled ? Math.max(0, ...rows.map((row) => row.address.length)) : 0,
    fresh: settled ? Math.max(0, ...rows.map(freshWidth)) : 0,
    troubled: settled && rows.some((row) => row.tone === 'bad'),
  })
}

/** `live, 123 ms`: the column keeps its width from save to save. */
const USUAL_FRESH = 12
const LONGEST_FRESH = 56
/** Less says nothing that its word does not. */
const SHORTEST_DETAIL = 18

function freshWidth({ fresh }: ServiceRow): number {
  if (fresh === null) return 0
  const lasts = fresh.tone === 'bad' || fresh.tone === 'quiet' || fresh.text.head === 'pending:'
  return Math.max(USUAL_FRESH, lasts ? cells(fitText(fresh.text, LONGEST_FRESH)) : 0)
}

/** Where there is no room for all, an error's kind alone; for still less, or for what is over in a moment, the word. */
function freshCell({ fresh }: ServiceRow, width: number): string {
  if (width === 0) return ''
  if (fresh === null) return ' '.repeat(width)
  const { text } = fresh
  const whole = fitText(text, LONGEST_FRESH)
  if (cells(whole) <= width) return pad(whole, width)
  const word = (/^\w+/u.exec(text.head) ?? [''])[0]
  if (width < SHORTEST_DETAIL) return pad(word, width)
  const kind = /^\w+(?=: )/u.exec(text.detail)?.[0] ?? text.detail
  return pad(fitText({ ...text, detail: kind }, width), width)
}

function headOf(columns: Columns): string {
  const cell = (title: string, width: number, align: 'left' | 'right' = 'left'): string =>
    width === 0 ? '' : ` ${pad(title, width, align)}`
  const left = columns.number ? '     ' : '   '
  return (
    `${left}${pad('SERVICE', columns.name)}${cell('STATE', columns.state)}${cell('FRESH', columns.fresh)}` +
    `${cell('ADDRESS', columns.address)}${cell('TIME', columns.time, 'right')}${cell('TIMELINE', columns.timeline)}`
  )
}

function numberOf(index: number): string {
  return index < 9 ? String(index + 1) : ' '
}

function rowOf(
  row: ServiceRow,
  still: ServiceRow,
  bar: TimelineBar | undefined,
  totalMs: number,
  columns: Columns,
): Omit<RowView, 'selected' | 'active' | 'number'> {
  // A time or a percent of its own column is not said twice.
  const text = columns.time === 0 ? row.text : { ...still.text, tail: '' }
  const building = row.percent !== null
  const drawn =
    columns.timeline === 0
      ? ''
      : building
        ? progressBar(row.percent, columns.timeline - 2)
        : bar === undefined
          ? ''
          : timelineBar(bar, totalMs, columns.timeline)
  return {
    glyph: row.glyph,
    tone: row.tone,
    name: pad(row.name, columns.name),
    state: pad(fitText(text, columns.state), columns.state),
    fresh: freshCell(row, columns.fresh),
    freshTone: row.fresh?.tone ?? 'quiet',
    address: columns.address === 0 ? '' : pad(row.address, columns.address),
    time: pad(timeOf(row), columns.time, 'right'),
    bar: drawn,
    barTone: bar?.critical === true && !building ? 'critical' : row.tone,
  }
}

function timeOf(row: ServiceRow): string {
  if (row.percent !== null) return `${String(row.percent)}%`
  return row.elapsedMs === null ? '' : formatDuration(row.elapsedMs)
}

function tickOf(rows: readonly ServiceRow[], state: StackState, now: number): number | null {
  const growing = rows.flatMap((row) => (row.ticking && row.elapsedMs !== null ? [row.elapsedMs] : []))
  const coming = state.phase === 'comingUp' && state.upSince !== null ? [now - Date.parse(state.upSince)] : []
  const all = [...growing, ...coming]
  if (all.length === 0) return null
  return Math.min(...all) < 60_000 ? 250 : 1000
}
