import { formatError } from '../../core/error.js'
import type { ServiceState, StackState } from '../../core/state.js'
import { cells, cut, pad, windowOf, wrap } from '../../core/text.js'
import { whyLines } from '../why.js'
import type { LogEntry, LogRing } from './log-ring.js'
import type { Layout, Size } from './layout.js'
import type { UiState } from './ui-state.js'

/** The log of the selected service, or what went wrong. */
export interface PaneView {
  readonly title: string
  readonly about: string
  /** What the right end of the title says: `following`, `paused, 12 new`. */
  readonly right: string
  readonly rightTone: 'quiet' | 'warn'
  readonly active: boolean
  readonly lines: readonly PaneLine[]
  /** Of the lines, without the title. */
  readonly height: number
}

export interface PaneLine {
  readonly time: string
  /** Where lines of several services are mixed: whose it is, and which colour that has. */
  readonly who?: string
  readonly hue?: number
  readonly text: string
  readonly tone: 'plain' | 'bad' | 'warn' | 'quiet'
}

/** What the pane shows: failures that belong to no service come first, then the log, then a failed build's output. */
export function paneView(
  state: StackState,
  ui: UiState,
  size: Size,
  layout: Layout,
  ring: LogRing | null,
): PaneView | null {
  if (layout.pane <= 0) return null
  const height = layout.pane - 1
  const service = ui.selected === null ? null : (state.services[ui.selected] ?? null)
  const active = ui.focus === 'logs'
  if (ui.pane === 'why' && service !== null)
    return {
      ...whyPane(state, service, size, height),
      right: 'esc closes',
      rightTone: 'quiet',
      active,
      height,
    }
  const failure = failureLines(state, service, size, height)
  if (failure !== null) return { ...failure, right: '', rightTone: 'quiet', active, height }
  if (service !== null && service.output.length > 0 && (ring === null || ring.end === 0))
    return { ...outputLines(service, ui, size, height), right: '', rightTone: 'quiet', active, height }
  return { ...logLines(state, service, ui, size, height, ring), active, height }
}

function failureLines(
  state: StackState,
  service: ServiceState | null,
  size: Size,
  height: number,
): Pick<PaneView, 'title' | 'about' | 'lines'> | null {
  if (state.failure === null || service?.phase === 'failed') return null
  const lines = formatError(state.failure).split('\n')
  return {
    title: 'what went wrong',
    about: state.failure.code,
    lines: lines
      .flatMap((line, index) => {
        const tone = index === 0 ? 'bad' : line.trimStart().startsWith('try:') ? 'warn' : 'plain'
        return wrap(` ${line}`, size.columns).map((text): PaneLine => ({ time: '', text, tone }))
      })
      .slice(0, height),
  }
}

const WHY_UPDATES = 10

/** Why the service runs the code that it runs; paths as seen from the project's folder. */
function whyPane(
  state: StackState,
  service: ServiceState,
  size: Size,
  height: number,
): Pick<PaneView, 'title' | 'about' | 'lines'> {
  const folder = `${state.folder}/`
  const near = (path: string): string => (path.startsWith(folder) ? path.slice(folder.length) : path)
  const tones = { head: 'plain', plain: 'plain', bad: 'bad', warn: 'warn', quiet: 'quiet' } as const
  const lines = whyLines(state, service, WHY_UPDATES, near).flatMap(({ text, look }) =>
    wrap(` ${text}`, size.columns).map((part): PaneLine => ({ time: '', text: part, tone: tones[look] })),
  )
  return { title: service.name, about: 'why', lines: lines.slice(0, height) }
}

function outputLines(
  service: ServiceState,
  ui: UiState,
  size: Size,
  height: number,
): Pick<PaneView, 'title' | 'about' | 'lines'> {
  const cause: PaneLine = { time: '', text: cut(` ${service.cause ?? 'failed'}`, size.columns), tone: 'bad' }
  const output = service.output.slice(-Math.max(0, height - 1))
  return {
    title: service.name,
    about: 'last output',
    lines: [
      cause,
      ...output.map((text): PaneLine => ({
        time: '',
        text: ` ${windowOf(text, ui.offset, size.columns - 1)}`,
        tone: 'plain',
      })),
    ].slice(0, height),
  }
}

function logLines(
  state: StackState,
  service: ServiceState | null,
  ui: UiState,
  size: Size,
  height: number,
  ring: LogRing | null,
): Omit<PaneView, 'active' | 'height'> {
  const end = ring?.end ?? 0
  const bottom = Math.max(ring?.first ?? 0, end - height)
  const top = ui.paused === null ? bottom : Math.max(ring?.first ?? 0, ui.paused.top)
  const lines = ring?.slice(top, top + height) ?? []
  const asked = service === null ? Object.values(state.services) : [service]
  const lost = asked.reduce((sum, one) => sum + one.logDropped, 0)
  const dropped = lost === 0 ? '' : `${String(lost)} dropped`
  const fresh = ui.paused === null ? 0 : Math.max(0, end - ui.paused.end)
  const follows =
    ui.paused === null
      ? end === 0
        ? ''
        : 'following'
      : `paused${fresh === 0 ? '' : `, ${String(fresh)} new`}`
  const sideways = ui.offset === 0 ? '' : `→${String(ui.offset)}`
  const names = service === null ? Object.keys(state.services) : null
  const empty: PaneLine = { time: '', text: cut(` ${emptyText(service)}`, size.columns), tone: 'quiet' }
  return {
    title: service?.name ?? 'all services',
    about: aboutOf(service),
    right: [dropped, sideways, follows].filter((part) => part !== '').join(', '),
    rightTone: ui.paused === null ? 'quiet' : 'warn',
    lines:
      lines.length === 0 && height > 0
        ? [empty]
        : lines.map((entry) => logLine(entry, ui.offset, size, names)),
  }
}

function aboutOf(service: ServiceState | null): string {
  if (service === null || service.image === null) return 'logs'
  return `logs ─ ${service.image.ref}, ${service.image.origin}${service.image.reduced === null ? '' : ', reduced'}`
}

function emptyText(service: ServiceState | null): string {
  if (service === null) return 'no log yet'
  if (service.cause !== null && service.phase === 'failed') return service.cause
  return service.startedAt === null ? 'no log yet: it has not started' : 'no log yet'
}

/** `names`: all services, where the line needs to say whose it is. */
function logLine(entry: LogEntry, offset: number, size: Size, names: readonly string[] | null): PaneLine {
  const time = size.columns < 60 ? '' : ` ${timeOfDay(entry.line.at)}`
  const width = names === null ? 0 : Math.min(16, Math.max(0, ...names.map(cells)))
  const who = names === null ? '' : ` ${pad(entry.service, width)}`
  const room = size.columns - time.length - cells(who) - 1
  const hue = names === null ? 0 : names.indexOf(entry.service)
  return { time, who, hue, text: ` ${windowOf(entry.line.text, offset, room)}`, tone: 'plain' }
}

function timeOfDay(at: string): string {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return '        '
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}
