import { DevstackError, never } from '../../core/error.js'
import type { Event } from '../../core/events.js'
import type { Intent } from '../../core/intents.js'
import type { StackState } from '../../core/state.js'
import type { Source } from '../source.js'
import type { Outcome } from '../summary.js'
import { commandFor } from './keymap.js'
import type { Command, Mode } from './keymap.js'
import type { Size } from './layout.js'
import { LogBook } from './log-ring.js'
import { share } from './share.js'
import { initialUi, reduceUi, select } from './ui-state.js'
import type { UiContext, UiState } from './ui-state.js'
import { updateLog } from './update-log.js'
import { computeView, keyContext, layoutOf, urlToOpen } from './view.js'
import type { View, ViewInput } from './view.js'

/** A frame at most so often, unless a key asks for one. */
const FRAME_MS = 100
/** How long the footer tells what a key did. */
const NOTICE_MS = 4000

export interface ControllerOptions {
  readonly mode: Mode
  readonly size: Size
  readonly color: boolean
  readonly now: () => number
  /** No time in the view changes by the clock alone: a screen reader would read it again and again. */
  readonly still: boolean
  readonly onOpen: (url: string) => Promise<void> | void
  readonly onEnd: (outcome: Outcome) => void
}

/**
 * Stands between the source and React: keeps log lines and UI state, and publishes a view at most ten times a second, at
 * once for a key, and only where something that is shown has changed.
 */
export class Controller {
  private readonly logs = new LogBook()
  private readonly listeners = new Set<() => void>()
  private readonly unsubscribe: () => void
  private state: StackState
  private ui: UiState = initialUi
  private size: Size
  private wasReady: boolean
  private view: View
  private publishedAt = -Infinity
  private frameTimer: NodeJS.Timeout | null = null
  private clockTimer: NodeJS.Timeout | null = null
  private noticeTimer: NodeJS.Timeout | null = null
  private over = false

  constructor(
    private readonly source: Source,
    private readonly options: ControllerOptions,
  ) {
    this.size = options.size
    this.state = source.getState()
    this.wasReady = this.state.phase === 'ready'
    this.unsubscribe = source.subscribe((event, state) => this.take(event, state))
    this.refill()
    this.autoSelect()
    this.view = computeView(this.input()).view
    this.publish()
  }

  // ---- for React ----------------------------------------------------------------------------------------------------

  readonly getView = (): View => this.view

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  getState(): StackState {
    return this.state
  }

  selected(): string | null {
    return this.ui.selected
  }

  // ---- what comes in ------------------------------------------------------------------------------------------------

  /** A key by its name. */
  key(name: string): void {
    if (this.over) return
    if (this.ui.notice !== null) this.clearNotice()
    const command = commandFor(name, keyContext(this.input()))
    if (command !== null) this.run(command)
    this.publish()
  }

  resize(size: Size): void {
    this.size = size
    this.publish()
  }

  dispose(): void {
    this.over = true
    this.unsubscribe()
    for (const timer of [this.frameTimer, this.clockTimer, this.noticeTimer])
      if (timer !== null) clearTimeout(timer)
  }

  private take(event: Event | null, state: StackState): void {
    if (this.over) return
    const before = this.state
    this.state = state
    if (state.phase === 'ready') this.wasReady = true
    if (event === null) this.refill()
    if (event?.type === 'logged') {
      this.logs.add(event.service, event.lines)
      if (this.ui.selected !== null && event.service !== this.ui.selected) return
    }
    if (event !== null)
      for (const { service, lines } of updateLog(event, before, state)) this.logs.add(service, lines)
    this.autoSelect()
    this.follow(event, state)
    this.schedule()
  }

  /** A fresh snapshot: what was known of the logs may have a hole, so they begin anew. */
  private refill(): void {
    this.logs.restart(this.source.tails)
    this.ui = { ...this.ui, paused: null }
  }

  /** Until the user chooses, the first failed service is selected, else none. */
  private autoSelect(): void {
    const names = Object.keys(this.state.services)
    const known = this.ui.selected !== null && names.includes(this.ui.selected)
    if (this.ui.chosen && (known || this.ui.selected === null)) return
    const failed = names.find((name) => this.state.services[name]?.phase === 'failed')
    const selected = failed ?? null
    if (selected !== this.ui.selected) this.ui = { ...this.ui, selected, paused: null, offset: 0 }
  }

  /** Goes on with the way out as the stack does. */
  private follow(event: Event | null, state: StackState): void {
    const { leaving } = this.ui
    if (state.phase === 'ended') {
      this.end(leaving === null ? 'ended' : ENDS[leaving])
    } else if (leaving === 'cancelling') {
      if (event?.type === 'stackFailed') this.end('cancelled')
      // It became ready before the cancel arrived; the user still wants out.
      else if (state.phase === 'ready') this.leaveBy('stopping', { type: 'quit', force: false })
    }
  }

  // ---- what a key does ------------------------------------------------------------------------------------------------

  private run(command: Command): void {
    const names = Object.keys(this.state.services)
    switch (command.do) {
      case 'ui':
        this.ui = reduceUi(this.ui, command.action, this.uiContext())
        break
      case 'pick':
        this.ui = { ...select(this.ui, names[command.index - 1] ?? this.ui.selected), focus: 'logs' }
        break
      case 'intent':
        if (this.ui.selected !== null)
          this.ask(command.intent(this.ui.selected), `${command.said} ${this.ui.selected}`)
        break
      case 'open':
        this.open()
        break
      case 'approve':
        this.approve()
        break
      case 'detach':
        this.end('detached')
        break
      case 'leave':
        this.leave()
        break
      default:
        never(command)
    }
  }

  private open(): void {
    const url = urlToOpen(this.state, this.ui)
    if (url === null) return
    this.notify(`opening ${url}`, false)
    const opened = async (): Promise<void> => this.options.onOpen(url)
    opened().catch((error: unknown) => this.complain(error))
  }

  private approve(): void {
    const [first] = this.state.approvals
    if (first !== undefined) this.ask({ type: 'approve', hold: first.id }, `approved: ${first.text}`)
  }

  private leave(): void {
    const { leaving } = this.ui
    if (leaving === 'forcing') this.end('forced')
    else if (leaving !== null) this.leaveBy('forcing', { type: 'quit', force: true })
    else if (keyContext(this.input()).cancels) this.leaveBy('cancelling', { type: 'cancel' })
    else this.leaveBy('stopping', { type: 'quit', force: false })
  }

  private leaveBy(leaving: NonNullable<UiState['leaving']>, intent: Intent): void {
    this.ui = { ...this.ui, leaving, overlay: null }
    this.source.send(intent).then(
      () => {
        // Nothing was under way any more, or the session answered only when all was done.
        if (leaving === 'cancelling' && this.ui.leaving === leaving && this.state.phase === 'idle')
          this.end('cancelled')
      },
      (error: unknown) => {
        if (this.ui.leaving === leaving) this.ui = { ...this.ui, leaving: null }
        this.complain(error)
      },
    )
  }

  private ask(intent: Intent, said: string): void {
    this.notify(said, false)
    this.source.send(intent).catch((error: unknown) => this.complain(error))
  }

  private complain(error: unknown): void {
    if (this.over) return
    const hint = error instanceof DevstackError && error.hint !== null ? `; try: ${error.hint}` : ''
    this.notify(`error: ${error instanceof Error ? error.message : String(error)}${hint}`, true)
    this.publish()
  }

  private notify(text: string, bad: boolean): void {
    this.clearNotice()
    this.ui = { ...this.ui, notice: { text, bad } }
    this.noticeTimer = setTimeout(() => {
      this.clearNotice()
      this.publish()
    }, NOTICE_MS)
  }

  private clearNotice(): void {
    if (this.noticeTimer !== null) clearTimeout(this.noticeTimer)
    this.noticeTimer = null
    this.ui = { ...this.ui, notice: null }
  }

  private end(outcome: Outcome): void {
    if (this.over) return
    this.dispose()
    this.options.onEnd(outcome)
  }

  // ---- what goes out ------------------------------------------------------------------------------------------------

  private input(): ViewInput {
    const { mode, color } = this.options
    const { state, ui, size, wasReady } = this
    const ring = this.logs.of(ui.selected)
    return { state, ui, size, mode, color, now: this.options.now(), wasReady, ring }
  }

  private uiContext(): UiContext {
    const { ring } = this.input()
    const names = Object.keys(this.state.services)
    const { pane } = layoutOf(this.input())
    return { names, log: { first: ring?.first ?? 0, end: ring?.end ?? 0, height: Math.max(1, pane - 1) } }
  }

  private schedule(): void {
    if (this.frameTimer !== null) return
    const wait = Math.max(0, this.publishedAt + FRAME_MS - this.options.now())
    this.frameTimer = setTimeout(() => this.publish(), wait)
  }

  private publish(): void {
    if (this.over) return
    if (this.frameTimer !== null) clearTimeout(this.frameTimer)
    this.frameTimer = null
    this.publishedAt = this.options.now()
    const { view, tickMs } = computeView(this.input())
    this.restartClock(tickMs)
    const shared = share(this.view, view)
    if (shared === this.view) return
    this.view = shared
    for (const listener of this.listeners) listener()
  }

  private restartClock(tickMs: number | null): void {
    if (this.clockTimer !== null) clearTimeout(this.clockTimer)
    this.clockTimer = tickMs === null || this.options.still ? null : setTimeout(() => this.publish(), tickMs)
  }
}

const ENDS = { cancelling: 'cancelled', stopping: 'quit', forcing: 'forced' } as const
