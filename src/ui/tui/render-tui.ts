import { summaryLines } from '../summary.js'
import type { Outcome } from '../summary.js'
import type { Source } from '../source.js'
import { Controller } from './controller.js'
import type { Mode } from './keymap.js'
import type { Size } from './layout.js'

export interface TuiOptions {
  readonly mode: Mode
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly color: boolean
  /** INK_SCREEN_READER: sentences instead of a full screen. */
  readonly screenReader: boolean
  readonly now: () => number
  /** Opens an address in the browser. */
  readonly onOpen: (url: string) => Promise<void> | void
}

export interface Tui {
  /** Resolves after the terminal is restored and the summary printed. Rejects on a bug in the UI, restored too. */
  waitUntilExit(): Promise<Outcome>
  /**
   * Restores the terminal at once, synchronously, without a summary; {@link Tui.waitUntilExit} resolves with `outcome`.
   * For signal handlers and the error path of the process; may be called at any time and more than once.
   */
  unmount(outcome?: Outcome): void
}

/**
 * Begins to load what {@link renderTui} needs, about 100 ms of work: worth calling before the session is connected, so that
 * the first frame waits for neither. Never fails by itself; renderTui reports what went wrong.
 */
export function preloadTui(): void {
  loadApp().catch(() => undefined)
}

/** Takes the terminal over and shows the stack until the user leaves or the session ends. */
export async function renderTui(source: Source, options: TuiOptions): Promise<Tui> {
  const { mount } = await loadApp()
  const { stdout } = options
  const end = Promise.withResolvers<Outcome>()
  let done = false
  const restore = (): boolean => {
    if (done) return false
    done = true
    stdout.off('resize', resized)
    controller.dispose()
    instance.unmount()
    return true
  }
  const leave = (outcome: Outcome, told: boolean): void => {
    if (!restore()) return
    if (told) stdout.write(`${summaryLines(controller.getState(), outcome, options.color).join('\n')}\n`)
    end.resolve(outcome)
  }
  const controller = new Controller(source, {
    mode: options.mode,
    size: sizeOf(stdout),
    color: options.color,
    now: options.now,
    still: options.screenReader,
    onOpen: options.onOpen,
    // Not inside a key's handler: Ink is still at work there.
    onEnd: (outcome) => setImmediate(() => leave(outcome, true)),
  })
  const resized = (): void => controller.resize(sizeOf(stdout))
  stdout.on('resize', resized)
  // A terminal that hung up: nobody reads any more. Kept to the end, for what is written on the way out fails too.
  stdout.on('error', () => leave('detached', false))
  const instance = mount(controller, {
    stdin: options.stdin,
    stdout,
    exitOnCtrlC: false,
    patchConsole: true,
    alternateScreen: !options.screenReader,
    incrementalRendering: true,
    interactive: stdout.isTTY,
    isScreenReaderEnabled: options.screenReader,
    maxFps: 30,
  })
  // Ink ends by itself only after a bug in a component, or when the process exits.
  instance.waitUntilExit().then(
    () => leave('detached', false),
    (error: unknown) => {
      restore()
      end.reject(error)
    },
  )
  return { waitUntilExit: () => end.promise, unmount: (outcome = 'detached') => leave(outcome, false) }
}

function sizeOf(stdout: NodeJS.WriteStream): Size {
  return { columns: stdout.columns || 80, rows: stdout.rows || 24 }
}

/** React's development build leaks memory and is slow; which one is loaded is decided while it is imported. */
async function loadApp() {
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    return await import('./app.js')
  } finally {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  }
}
