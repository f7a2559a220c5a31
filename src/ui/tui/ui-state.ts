import { never } from '../../core/error.js'

/** How far the way out has gone. */
type Leaving = 'cancelling' | 'stopping' | 'forcing'

/** What only this terminal knows: what is selected, shown, paused. */
export interface UiState {
  /** Null: none, the logs are those of all services. */
  readonly selected: string | null
  /** The user chose: the UI moves the selection no more by itself. */
  readonly chosen: boolean
  readonly focus: 'services' | 'logs'
  readonly overlay: 'help' | 'warnings' | 'approvals' | null
  /** What is told of the selected service beside the table. */
  readonly pane: 'logs' | 'why'
  /** Null: the log follows. `top`: number of the first line shown; `end`: where the log ended when it was paused. */
  readonly paused: { readonly top: number; readonly end: number } | null
  /** Cells that the log is moved sideways. */
  readonly offset: number
  readonly leaving: Leaving | null
  readonly notice: { readonly text: string; readonly bad: boolean } | null
}

export const initialUi: UiState = {
  selected: null,
  chosen: false,
  focus: 'services',
  overlay: null,
  pane: 'logs',
  paused: null,
  offset: 0,
  leaving: null,
  notice: null,
}

/** Moves that a key makes in this terminal only. */
export type UiAction =
  | 'previous'
  | 'next'
  | 'lineUp'
  | 'lineDown'
  | 'pageUp'
  | 'pageDown'
  | 'oldest'
  | 'newest'
  | 'left'
  | 'right'
  | 'togglePause'
  | 'focusLogs'
  | 'all'
  | 'back'
  | 'help'
  | 'warnings'
  | 'approvals'
  | 'why'

/** What a move needs to know about what is on the screen. */
export interface UiContext {
  readonly names: readonly string[]
  /** Numbers of the selected service's log, and how many of its lines are shown. */
  readonly log: { readonly first: number; readonly end: number; readonly height: number }
}

const SIDE_STEP = 8

/** The next UI state. Pure. */
export function reduceUi(ui: UiState, action: UiAction, context: UiContext): UiState {
  switch (action) {
    case 'previous':
      return select(ui, context.names[indexOf(ui, context) - 1] ?? null)
    case 'next':
      return select(ui, context.names[indexOf(ui, context) + 1] ?? ui.selected)
    case 'lineUp':
      return scroll(ui, -1, context)
    case 'lineDown':
      return scroll(ui, 1, context)
    case 'pageUp':
      return scroll(ui, -Math.max(1, context.log.height - 1), context)
    case 'pageDown':
      return scroll(ui, Math.max(1, context.log.height - 1), context)
    case 'oldest':
      return scroll(ui, -Infinity, context)
    case 'newest':
      return { ...ui, paused: null }
    case 'left':
      return { ...ui, offset: Math.max(0, ui.offset - SIDE_STEP) }
    case 'right':
      return { ...ui, offset: ui.offset + SIDE_STEP }
    case 'togglePause':
      return ui.paused === null ? pause(ui, bottomOf(context), context) : { ...ui, paused: null }
    case 'all':
      return select(ui, null)
    case 'focusLogs':
      return { ...ui, focus: 'logs', pane: 'logs' }
    case 'back':
      if (ui.overlay !== null) return { ...ui, overlay: null }
      if (ui.pane !== 'logs') return { ...ui, pane: 'logs' }
      return { ...ui, focus: 'services', paused: null, offset: 0 }
    case 'help':
      return { ...ui, overlay: ui.overlay === 'help' ? null : 'help' }
    case 'warnings':
      return { ...ui, overlay: ui.overlay === 'warnings' ? null : 'warnings' }
    case 'approvals':
      return { ...ui, overlay: ui.overlay === 'approvals' ? null : 'approvals' }
    case 'why':
      return { ...ui, overlay: null, pane: ui.pane === 'why' ? 'logs' : 'why' }
    default:
      return never(action)
  }
}

/** Selects a service, or none, by the user's choice; its log follows again. */
export function select(ui: UiState, name: string | null): UiState {
  if (name === ui.selected) return { ...ui, chosen: true }
  return { ...ui, selected: name, chosen: true, paused: null, offset: 0 }
}

function indexOf(ui: UiState, context: UiContext): number {
  return ui.selected === null ? -1 : context.names.indexOf(ui.selected)
}

function bottomOf({ log }: UiContext): number {
  return Math.max(log.first, log.end - log.height)
}

function pause(ui: UiState, top: number, { log }: UiContext): UiState {
  return { ...ui, paused: { top, end: ui.paused?.end ?? log.end } }
}

/** Going up pauses; coming down to the end follows again. */
function scroll(ui: UiState, lines: number, context: UiContext): UiState {
  const bottom = bottomOf(context)
  const from = ui.paused?.top ?? bottom
  const top = Math.max(context.log.first, from + lines)
  if (lines > 0 && top >= bottom) return { ...ui, paused: null }
  return top === from && ui.paused === null ? ui : pause(ui, top, context)
}
