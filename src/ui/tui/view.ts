import { fitText, readyCount, serviceRows, summaryText, mainUrl, urlOf } from '../../core/select.js'
import type { Tone } from '../../core/select.js'
import type { StackState } from '../../core/state.js'
import { cells, cut, formatDuration, formatUptime, wrap } from '../../core/text.js'
import { footerItems, helpGroups } from './keymap.js'
import type { FooterItem, KeyContext, Mode } from './keymap.js'
import { layoutFor } from './layout.js'
import type { Size } from './layout.js'
import type { LogRing } from './log-ring.js'
import type { UiState } from './ui-state.js'
import { paneView } from './view-pane.js'
import type { PaneLine, PaneView } from './view-pane.js'
import { tableView } from './view-table.js'
import type { TableView } from './view-table.js'

/** Everything that a frame shows, cut to the terminal: what is equal here looks equal there. */
export interface View {
  readonly size: Size
  readonly color: boolean
  readonly rules: boolean
  readonly header: HeaderView | null
  readonly status: StatusView | null
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

export interface StatusView {
  readonly text: string
  readonly tone: Tone
}

/** Covers table and pane. */
export interface OverlayView {
  readonly title: string
  readonly lines: readonly PaneLine[]
  readonly height: number
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
  const layout = layoutFor(size, Object.keys(state.services).length, focusOf(state, ui))
  const { table, tickMs } = tableView(input, layout)
  const overlay = overlayView(input, layout.body)
  const view: View = {
    size,
    color: input.color,
    rules: layout.rules,
    header: layout.header === 0 ? null : headerView(input),
    status: layout.status === 0 ? null : statusView(input),
    table: overlay === null ? table : null,
    pane: overlay === null ? paneView(state, ui, size, layout, input.ring) : null,
    overlay,
    footer: layout.footer === 0 ? null : footerView(input),
  }
  return { view, tickMs: tickMs ?? minuteTick(state, now) }
}

/** Where only one pane fits, what went wrong is shown without being asked for. */
export function focusOf(state: StackState, ui: UiState): UiState['focus'] {
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

function statusView(input: ViewInput): StatusView {
  const { text, tone } = statusText(input)
  return { text: cut(` ${text}`, input.size.columns), tone }
}

function statusText({ state, ui }: ViewInput): StatusView {
  if (ui.leaving === 'cancelling')
    return { text: 'cancelling: stops what this run started; ^C again forces', tone: 'warn' }
  if (ui.leaving === 'stopping')
    return { text: 'stopping the services; volumes are kept; ^C again forces', tone: 'warn' }
  if (ui.leaving === 'forcing')
    return { text: 'killing the services; ^C once more leaves at once', tone: 'warn' }
  const bad = serviceRows(state, null).filter((row) => row.tone === 'bad')
  if (bad.length > 0 && state.phase !== 'stopped' && state.phase !== 'ended') {
    const told = bad.map((row) => `${row.name} ${fitText(row.text, 200)}`).join('; ')
    return { text: state.phase === 'failed' ? `not ready: ${told}` : told, tone: 'bad' }
  }
  const tones: Readonly<Record<StackState['phase'], Tone>> = {
    idle: 'busy',
    comingUp: 'busy',
    ready: 'good',
    failed: 'bad',
    stopped: 'quiet',
    ended: 'quiet',
  }
  return { text: `${summaryText(state)}${blockerText(state)}`, tone: tones[state.phase] }
}

/** What everybody waits for: the services that hold others and are under way themselves. */
function blockerText(state: StackState): string {
  if (state.phase !== 'comingUp' || readyCount(state).of === 0) return ''
  const services = Object.values(state.services)
  const held = new Map<string, number>()
  for (const name of services.flatMap((service) => service.hold?.on ?? []))
    held.set(name, (held.get(name) ?? 0) + 1)
  const blockers = services.filter((service) => held.has(service.name) && service.hold === null)
  const [first] = blockers.sort((a, b) => (held.get(b.name) ?? 0) - (held.get(a.name) ?? 0))
  if (first === undefined) return ''
  return `; ${String(held.get(first.name))} wait for ${first.name}`
}

function overlayView(input: ViewInput, height: number): OverlayView | null {
  const { ui, state, size } = input
  if (ui.overlay === null || height <= 0) return null
  const line = (text: string, tone: PaneLine['tone']): PaneLine => ({
    time: '',
    text: cut(text, size.columns),
    tone,
  })
  if (ui.overlay === 'warnings') {
    const lines = state.warnings.flatMap(({ message, hint }) => [
      ...wrap(` ! ${message}`, size.columns).map((part) => line(part, 'warn')),
      ...(hint === null ? [] : wrap(`   try: ${hint}`, size.columns).map((part) => line(part, 'plain'))),
    ])
    return { title: 'warnings', lines: lines.slice(0, height - 1), height }
  }
  return { title: 'keys', lines: helpLines(input, height - 1), height }
}

/** In two columns where the terminal is wide and the groups do not fit below each other. */
function helpLines(input: ViewInput, height: number): readonly PaneLine[] {
  const blocks = helpGroups(keyContext(input)).map((group) => [
    { text: ` ${group.title}`, tone: 'warn' as const },
    ...group.lines.map(({ keys, help }) => ({
      text: `   ${keys.padEnd(10)} ${help}`,
      tone: 'plain' as const,
    })),
  ])
  const [first = [], ...others] = blocks
  const rest = others.flat()
  const total = first.length + rest.length
  const width = Math.floor(input.size.columns / 2)
  const sideBySide = total > height && width >= 40
  const empty = { text: '', tone: 'plain' as const }
  const lines = sideBySide
    ? Array.from({ length: Math.max(first.length, rest.length) }, (_, index) => {
        const [left, right] = [first[index] ?? empty, rest[index] ?? empty]
        const gap = ' '.repeat(Math.max(1, width - cells(cut(left.text, width - 1))))
        return {
          text: `${cut(left.text, width - 1)}${gap}${right.text}`,
          tone: left.tone === 'warn' ? left.tone : 'plain',
        }
      })
    : [...first, ...rest]
  return lines.slice(0, height).map(({ text, tone }): PaneLine => ({
    time: '',
    text: cut(text, input.size.columns),
    tone: tone === 'warn' ? 'warn' : 'plain',
  }))
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
