/** Cells of the terminal. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** Rows of each part of the screen; a part with 0 is not there. Their sum never exceeds the terminal's rows - 1. */
export interface Layout {
  readonly header: number
  readonly status: number
  /** What waits for a person. */
  readonly approval: number
  readonly rules: boolean
  readonly columnHead: number
  readonly table: number
  /** Title included. */
  readonly pane: number
  readonly footer: number
  /** Rows between status and footer, for what covers table and pane. */
  readonly body: number
}

/** Below it, table and logs take turns. */
const PANE_COLUMNS = 60
const PANE_ROWS = 14
const SMALLEST_PANE = 5

/** Splits the terminal. The last row stays free: a frame of full height scrolls some terminals. */
export function layoutFor(
  size: Size,
  services: number,
  focus: 'services' | 'logs',
  approves: boolean,
): Layout {
  const rows = Math.max(0, size.rows - 1)
  const header = Math.min(1, rows)
  const footer = rows >= 3 ? 1 : 0
  const status = rows >= 4 ? 1 : 0
  const approval = approves && rows >= 5 ? 1 : 0
  const rules = rows >= PANE_ROWS
  const body = Math.max(0, rows - header - footer - status - approval - (rules ? 2 : 0))
  const common = { header, status, approval, rules, footer, body }
  if (size.columns < PANE_COLUMNS || rows < PANE_ROWS) {
    if (focus === 'logs') return { ...common, columnHead: 0, table: 0, pane: body }
    const columnHead = services > 0 && body > services ? 1 : 0
    return { ...common, columnHead, table: body - columnHead, pane: 0 }
  }
  const columnHead = services > 0 && body >= 12 ? 1 : 0
  const table = Math.max(
    1,
    Math.min(services, body - columnHead - Math.max(SMALLEST_PANE, Math.floor(body * 0.4))),
  )
  return { ...common, columnHead, table, pane: body - columnHead - table }
}

/** Widths of the table's columns; 0: not shown. Their sum with the gaps is the terminal's width. */
export interface Columns {
  readonly number: boolean
  readonly name: number
  readonly state: number
  readonly fresh: number
  readonly address: number
  readonly time: number
  readonly timeline: number
}

/** Cells that the state needs so that it says something. */
const SHORTEST_STATE = 13
/** `done, 0.9 s`: beside what is fresh, a state has less to say. */
const SHORTEST_WITH_FRESH = 11
/** `reloading`. */
const SHORTEST_FRESH = 9
const LONGEST_STATE = 56

/** `address`, `fresh`: the widest one, 0 where none is wanted now. `troubled`: a state has more to say than usual. */
export function columnsFor(
  size: Size,
  wants: {
    readonly name: number
    readonly address: number
    readonly fresh: number
    readonly troubled: boolean
  },
): Columns {
  const number = size.columns >= PANE_COLUMNS
  const name = Math.min(wants.name, number ? 24 : 14, Math.max(4, Math.floor(size.columns * 0.4)))
  let room = size.columns - (number ? 5 : 3) - name - 2
  const take = (width: number, least: number): number => {
    if (width <= 0 || room - width - 1 < least) return 0
    room -= width + 1
    return width
  }
  // Where sources are watched, whether their code runs is more than how long the start took.
  const lasting = wants.fresh === 0 ? 0 : take(wants.address, SHORTEST_STATE + SHORTEST_FRESH + 1)
  const freshRoom = Math.max(SHORTEST_FRESH, room - SHORTEST_WITH_FRESH - 1)
  const fresh = take(Math.min(wants.fresh, freshRoom), SHORTEST_WITH_FRESH)
  const time = take(size.columns >= 50 ? 8 : 0, fresh > 0 ? SHORTEST_STATE + 4 : SHORTEST_STATE)
  const address = lasting > 0 ? lasting : take(wants.address, SHORTEST_STATE)
  const wide = Math.min(60, Math.floor(size.columns * 0.27))
  const timeline = take(number ? wide : 0, wants.troubled ? 40 : SHORTEST_STATE)
  // What a wide terminal has to spare gives the timeline a finer scale.
  const spare = timeline === 0 ? 0 : Math.max(0, room - LONGEST_STATE)
  const state = Math.max(0, room - spare)
  return { number, name, address, fresh, time, timeline: Math.min(100, timeline + spare), state }
}
