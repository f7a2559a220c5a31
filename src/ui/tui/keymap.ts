import type { Intent } from '../../core/intents.js'
import type { ServiceState, StackState } from '../../core/state.js'
import type { UiAction, UiState } from './ui-state.js'

/** `up` owns the stack; `attach` only looks at one that runs elsewhere. */
export type Mode = 'up' | 'attach'

/** What a key does. */
export type Command =
  | { readonly do: 'ui'; readonly action: UiAction }
  /** Selects the service with this number, from 1, and shows its logs. */
  | { readonly do: 'pick'; readonly index: number }
  | { readonly do: 'intent'; readonly intent: (service: string) => Intent; readonly said: string }
  | { readonly do: 'open' }
  /** Lets go the first of what waits for a person. */
  | { readonly do: 'approve' }
  | { readonly do: 'detach' }
  /** The way out: cancels or stops; on the way out it forces. */
  | { readonly do: 'leave' }

/** What decides whether a key means something now. */
export interface KeyContext {
  readonly mode: Mode
  readonly ui: UiState
  readonly phase: StackState['phase']
  readonly selected: ServiceState | null
  /** An `up` is under way and this terminal never saw the stack ready: the way out is to cancel it. */
  readonly cancels: boolean
  readonly warnings: number
  /** How many wait for a person. */
  readonly approvals: number
  readonly canOpen: boolean
}

/** One key, or several that do the same. The footer and the help are generated from these. */
export interface Binding {
  readonly keys: readonly string[]
  /** As people read it. */
  readonly shown: string
  /** In the footer; null: only in the help. */
  readonly label: string | null
  readonly help: string
  readonly group: 'look' | 'service' | 'stack'
  readonly when: (context: KeyContext) => boolean
  readonly command: Command
}

const always = (): boolean => true
const onServices = ({ ui }: KeyContext): boolean => ui.focus === 'services'
const onLogs = ({ ui }: KeyContext): boolean => ui.focus === 'logs'
// While the stack comes up for the first time, only what has an end or a beginning of its own can be asked for.
const withService = ({ selected, ui, cancels }: KeyContext): boolean =>
  selected !== null &&
  ui.leaving === null &&
  (!cancels || ['running', 'failed', 'stopped'].includes(selected.phase))
const runs = ({ selected }: KeyContext): boolean =>
  selected !== null && ['building', 'starting', 'running'].includes(selected.phase)
const isPaused = (context: KeyContext): boolean => context.ui.paused !== null
const isLeaving = ({ mode, ui }: KeyContext): boolean => mode === 'up' && ui.leaving !== null
const owns = ({ mode, ui }: KeyContext): boolean => mode === 'up' && ui.leaving === null
const ui = (action: UiAction): Command => ({ do: 'ui', action })
const asks = (type: 'restart' | 'stop' | 'start' | 'rebuild', said: string): Command => ({
  do: 'intent',
  said,
  intent: (service) => ({ type, services: [service] }),
})

/** Every key, most useful first: a narrow footer keeps the first of them. A table, so one line a key. */
// prettier-ignore
export const bindings: readonly Binding[] = [
  { keys: ['up', 'k'], shown: '↑', label: null, help: 'up: a service or a line', group: 'look', when: onServices, command: ui('previous') },
  { keys: ['down', 'j'], shown: '↑↓', label: 'select', help: 'down: a service or a line', group: 'look', when: onServices, command: ui('next') },
  { keys: ['up', 'k'], shown: '↑↓', label: 'scroll', help: 'up: a service or a line', group: 'look', when: onLogs, command: ui('lineUp') },
  { keys: ['down', 'j'], shown: '↓', label: null, help: 'down: a service or a line', group: 'look', when: onLogs, command: ui('lineDown') },
  { keys: ['0', 'a'], shown: '0', label: 'all', help: 'the logs of all', group: 'look', when: ({ selected }) => selected !== null, command: ui('all') },
  { keys: ['enter', 'tab'], shown: 'enter', label: 'logs', help: 'to the logs', group: 'look', when: onServices, command: ui('focusLogs') },
  { keys: ['escape', 'tab'], shown: 'esc', label: 'services', help: 'back to the services', group: 'look', when: onLogs, command: ui('back') },
  { keys: ['f', 'space'], shown: 'f', label: 'follow', help: 'pause or follow the log', group: 'look', when: isPaused, command: ui('togglePause') },
  { keys: ['f', 'space'], shown: 'f', label: 'pause', help: 'pause or follow the log', group: 'look', when: (context) => onLogs(context) && !isPaused(context), command: ui('togglePause') },
  { keys: ['f', 'space'], shown: 'f', label: null, help: 'pause or follow the log', group: 'look', when: always, command: ui('togglePause') },
  { keys: ['pageup'], shown: 'pgup', label: null, help: 'a page back', group: 'look', when: always, command: ui('pageUp') },
  { keys: ['pagedown'], shown: 'pgdn', label: null, help: 'a page on', group: 'look', when: always, command: ui('pageDown') },
  { keys: ['home', 'g'], shown: 'home', label: null, help: 'the oldest line kept', group: 'look', when: always, command: ui('oldest') },
  { keys: ['end', 'G'], shown: 'end', label: null, help: 'the newest; follow again', group: 'look', when: always, command: ui('newest') },
  { keys: ['left'], shown: '←', label: null, help: 'move the logs back', group: 'look', when: always, command: ui('left') },
  { keys: ['right'], shown: '→', label: null, help: 'move the logs sideways', group: 'look', when: always, command: ui('right') },
  { keys: ['escape'], shown: 'esc', label: null, help: 'close what is open', group: 'look', when: onServices, command: ui('back') },
  { keys: ['o'], shown: 'o', label: 'open', help: 'open it in the browser', group: 'service', when: ({ canOpen }) => canOpen, command: { do: 'open' } },
  { keys: ['ctrl-c'], shown: '^C', label: 'force', help: 'do not wait: kill', group: 'stack', when: isLeaving, command: { do: 'leave' } },
  { keys: ['ctrl-c'], shown: '^C', label: 'cancel', help: 'cancel; twice: by force', group: 'stack', when: (context) => owns(context) && context.cancels, command: { do: 'leave' } },
  { keys: ['q'], shown: 'q', label: null, help: 'cancel this run', group: 'stack', when: (context) => owns(context) && context.cancels, command: { do: 'leave' } },
  { keys: ['q'], shown: 'q', label: 'stop all', help: 'stop all; data is kept', group: 'stack', when: (context) => owns(context) && !context.cancels, command: { do: 'leave' } },
  { keys: ['ctrl-c'], shown: '^C', label: null, help: 'as q; twice: by force', group: 'stack', when: (context) => owns(context) && !context.cancels, command: { do: 'leave' } },
  { keys: ['q', 'ctrl-c'], shown: 'q', label: 'detach', help: 'leave; all keeps running', group: 'stack', when: ({ mode }) => mode === 'attach', command: { do: 'detach' } },
  { keys: ['d'], shown: 'd', label: 'detach', help: 'leave; all keeps running', group: 'stack', when: owns, command: { do: 'detach' } },
  { keys: ['w'], shown: 'w', label: 'why', help: 'why it runs what it runs', group: 'service', when: ({ selected }) => selected?.summary.watched === true, command: ui('why') },
  { keys: ['r'], shown: 'r', label: 'restart', help: 'restart it', group: 'service', when: withService, command: asks('restart', 'restarting') },
  { keys: ['s'], shown: 's', label: 'stop', help: 'stop it', group: 'service', when: (context) => withService(context) && runs(context), command: asks('stop', 'stopping') },
  { keys: ['s'], shown: 's', label: 'start', help: 'start it', group: 'service', when: (context) => withService(context) && !runs(context), command: asks('start', 'starting') },
  { keys: ['b'], shown: 'b', label: 'rebuild', help: 'build it again', group: 'service', when: (context) => withService(context) && context.selected?.summary.built === true, command: asks('rebuild', 'building') },
  { keys: ['y'], shown: 'y', label: null, help: 'yes to what waits for you', group: 'stack', when: ({ approvals, ui }) => approvals > 0 && ui.leaving === null, command: { do: 'approve' } },
  { keys: ['v'], shown: 'v', label: null, help: 'view what waits for you', group: 'stack', when: ({ approvals }) => approvals > 0, command: ui('approvals') },
  { keys: ['!'], shown: '!', label: 'warnings', help: 'what you should know', group: 'stack', when: ({ warnings }) => warnings > 0, command: ui('warnings') },
  { keys: ['?', 'h'], shown: '?', label: 'help', help: 'this help', group: 'stack', when: always, command: ui('help') },
]

/** What `key` does now, or null. */
export function commandFor(key: string, context: KeyContext): Command | null {
  if (/^[1-9]$/u.test(key)) return { do: 'pick', index: Number(key) }
  return bindings.find((binding) => binding.keys.includes(key) && binding.when(context))?.command ?? null
}

export interface FooterItem {
  readonly key: string
  readonly label: string
}

/** The keys that mean something now and fit into `width` cells; the way out and `? help` stay to the last. */
export function footerItems(context: KeyContext, width: number): readonly FooterItem[] {
  const usable = bindings.filter((binding) => binding.label !== null && binding.when(context))
  const shown = usable.map((binding) => ({
    key: binding.shown,
    label: binding.label ?? '',
    vital: binding.command.do === 'leave' || binding.keys.includes('?') || binding.keys.includes('q'),
  }))
  const vital = shown.filter((item) => item.vital)
  let room = width - vital.reduce((sum, item) => sum + itemWidth(item), 0)
  const fitting = shown.filter((item) => {
    if (item.vital) return true
    room -= itemWidth(item)
    return room >= 0
  })
  return fitting.map(({ key, label }) => ({ key, label }))
}

/** Two blanks between items. */
function itemWidth({ key, label }: FooterItem): number {
  return key.length + label.length + 3
}

export interface HelpGroup {
  readonly title: string
  readonly lines: readonly { readonly keys: string; readonly help: string }[]
}

const TITLES: Readonly<Record<Binding['group'], string>> = {
  look: 'Look',
  service: 'The selected service',
  stack: 'The stack',
}
const NAMES: Readonly<Record<string, string>> = {
  up: '↑',
  down: '↓',
  left: '←',
  right: '→',
  escape: 'esc',
  pageup: 'pgup',
  pagedown: 'pgdn',
  'ctrl-c': '^C',
}

/** The help, from the keys that can mean something in this mode. */
export function helpGroups(context: KeyContext): readonly HelpGroup[] {
  const usable = bindings.filter((binding) => binding.group !== 'stack' || binding.when(context))
  return (['look', 'service', 'stack'] as const).map((group) => {
    const lines = usable
      .filter((binding) => binding.group === group)
      .map((binding) => ({
        keys: binding.keys.map((key) => NAMES[key] ?? key).join(' '),
        help: binding.help,
      }))
    const numbers = group === 'look' ? [{ keys: '1-9', help: 'the logs of that service' }] : []
    return { title: TITLES[group], lines: [...numbers, ...unique(lines)] }
  })
}

function unique<T extends { readonly keys: string; readonly help: string }>(
  lines: readonly T[],
): readonly T[] {
  return lines.filter(
    (line, index) =>
      lines.findIndex((other) => other.keys === line.keys && other.help === line.help) === index,
  )
}
