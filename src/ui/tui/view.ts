import { mainUrl, urlOf } from '../../core/select.js'
import type { StackState } from '../../core/state.js'
import { cells, cut, formatDuration, formatUptime } from '../../core/text.js'
import { footerItems } from './keymap.js'
import type { FooterItem, KeyContext, Mode } from './keymap.js'
import { layoutFor } from './layout.js'
import type { Layout, Size } from './layout.js'
import type { LogRing } from './log-ring.js'
import type { UiState } from './ui-state.js'
import { overlayView } from './view-overlay.js'
import type { OverlayView } from './view-overlay.js'
import { paneView } from './view-pane.js'
import type { PaneView } from './view-pane.js'
import { approvalView, statusView } from './view-status.js'
import type { ApprovalView, StatusView } from './view-status.js'
import { tableView } from './view-table.js'
import type { TableView } from './view-table.js'

/** Everything that a frame shows, cut to the terminal: what is equal here looks equal there. */
export interface View {
  readonly size: Size
  readonly color: boolean
  readonly rules: boolean
  readonly header: HeaderView | null
  readonly status: StatusView | null
  readonly approval: ApprovalView | null
  readonly table: TableView | null
  readonly pane: PaneView | null
  readonly overlay: OverlayView | null
  readonly footer: FooterView | null
}

export interface HeaderView {
  readonly project: string
  readonly engine: string
  readonly url: string
  readonly gap: number
  readonly right: string
}

export interface FooterView {
  readonly items: readonly FooterItem[]
  readonly notice: string | null
  readonly bad: boolean
}

/** What a view is computed from. */
export interface ViewInput {
  readonly state: StackState
  readonly ui: UiState
  readonly size: Size
  readonly mode: Mode
  readonly color: boolean
  readonly now: number
  /** This terminal has seen the stack ready. */
  readonly wasReady: boolean
  /** Of the selected service, or of all. */
  readonly ring: LogRing | null
}

/** The view, and in how many milliseconds something in it changes by time alone (null: never). Pure. */
export function computeView(input: ViewInput): { readonly view: View; readonly tickMs: number | null } {
  const { state, ui, size, now } = input
  const layout = layoutOf(input)
  const { table, tickMs } = tableView(input, layout)
  const overlay = overlayView(input, keyContext(input), layout.body)
  const view: View = {
    size,
    color: input.color,
    rules: layout.rules,
    header: layout.header === 0 ? null : headerView(input),
    status: layout.status === 0 ? null : statusView(input),
    approval: layout.approval === 0 ? null : approvalView(input),
    table: overlay === null ? table : null,
    pane: overlay === null ? paneView(state, ui, size, layout, input.ring) : null,
    overlay,
    footer: layout.footer === 0 ? null : footerView(input),
  }
  return { view, tickMs: tickMs ?? minuteTick(state, now) }
}

/** How the terminal is split now. */
export function layoutOf({ state, ui, size }: Pick<ViewInput, 'state' | 'ui' | 'size'>): Layout {
  const services = Object.keys(state.services).length
  return layoutFor(size, services, focusOf(state, ui), state.approvals.length > 0)
}

/** Where only one pane fits, what was asked for or went wrong is shown. */
function focusOf(state: StackState, ui: UiState): UiState['focus'] {
  if (ui.pane === 'why' && ui.selected !== null) return 'logs'
  return state.failure !== null && state.phase === 'failed' && !ui.chosen ? 'logs' : ui.focus
}

/** What decides the meaning of keys, from the same values. */
export function keyContext({ state, ui, mode, wasReady }: ViewInput): KeyContext {
  const selected = ui.selected === null ? null : (state.services[ui.selected] ?? null)
  return {
    mode,
    ui,
    phase: state.phase,
    selected,
    cancels: (state.phase === 'comingUp' || state.phase === 'idle') && !wasReady,
    warnings: state.warnings.length,
    approvals: state.approvals.length,
    canOpen: urlToOpen(state, ui) !== null,
  }
}

/** The selected service's address, else the stack's; null before there is one that answers. */
export function urlToOpen(state: StackState, ui: UiState): string | null {
  const own = ui.selected === null ? null : state.services[ui.selected]
  const url = own?.phase === 'running' ? urlOf(state, own.name) : null
  return url ?? (state.phase === 'ready' ? mainUrl(state) : null)
}

/** Since the session began: a restart of one service does not make the stack young. */
function upAt({ phase, session, upSince }: StackState): number | null {
  const since = session?.since ?? upSince
  return phase !== 'ready' || since === null ? null : Date.parse(since)
}

function minuteTick(state: StackState, now: number): number | null {
  const since = upAt(state)
  return since === null ? null : 60_000 - (Math.max(0, now - since) % 60_000)
}

function headerView(input: ViewInput): HeaderView {
  const { state, size } = input
  const right = cut(timeText(input), Math.max(0, size.columns - 2))
  const left = ' devstack'
  let room = size.columns - cells(left) - cells(right) - 2
  const take = (text: string, whole = false): string => {
    const wanted = text === '' ? '' : `  ${text}`
    const fitted = whole && cells(wanted) > room ? '' : cut(wanted, Math.max(0, room))
    room -= cells(fitted)
    return fitted
  }
  const project = take(state.project)
  const engine = take(state.project === '' ? '' : state.engine, true)
  const url = take(state.phase === 'ready' ? (mainUrl(state) ?? '') : '', true)
  return { project, engine, url, right, gap: Math.max(0, room + 1) }
}

function timeText({ state, now }: ViewInput): string {
  const warnings = state.warnings.length
  const alert = warnings === 0 ? '' : `${String(warnings)} warning${warnings === 1 ? '' : 's'}  `
  const since = upAt(state)
  if (since !== null) return `${alert}up ${formatUptime(now - since)}`
  if (state.phase !== 'comingUp' || state.upSince === null) return alert.trimEnd()
  return `${alert}coming up ${formatDuration(now - Date.parse(state.upSince))}`
}

function footerView(input: ViewInput): FooterView {
  const { ui, size } = input
  const notice = ui.notice === null ? null : cut(` ${ui.notice.text}`, size.columns)
  return {
    items: ui.notice === null ? footerItems(keyContext(input), size.columns - 1) : [],
    notice,
    bad: ui.notice?.bad ?? false,
  }
}
