import { DevstackError, exitCodeOf } from '../core/error.js'
import type { Intent } from '../core/intents.js'
import type { SessionClient } from '../host/session/client.js'
import type { Source } from '../ui/source.js'
import type { CommandContext } from './commands.js'
import { nearEvent } from './near.js'

export type Ui = 'tui' | 'plain' | 'json'

/** The UI that was asked for; by default the terminal UI on a terminal, plain lines elsewhere. */
export function chooseUi(wanted: string | undefined, context: CommandContext, detach: boolean): Ui {
  const { io } = context
  const terminal = io.stdout.isTTY && io.stdin.isTTY
  if (wanted === undefined) return terminal && !detach && io.env['CI'] !== 'true' ? 'tui' : 'plain'
  if (wanted !== 'tui' && wanted !== 'plain' && wanted !== 'json')
    throw new DevstackError('USAGE', `there is no UI called ${wanted}`, { hint: '--ui tui, plain or json' })
  if (wanted === 'tui' && !terminal)
    throw new DevstackError('USAGE', '--ui tui needs a terminal', { hint: '--ui plain prints lines' })
  return wanted
}

/** Begins to load the terminal UI, the slowest part of the first frame, while the session's process starts. */
export async function preloadTerminal(): Promise<void> {
  const { preloadTui } = await import('../ui/tui/render-tui.js')
  preloadTui()
}

export interface RenderOptions {
  readonly ui: Ui
  /** `up` stays and owns the stack's end; `detach` ends when the intent is done; `attach` only looks on. */
  readonly mode: 'up' | 'detach' | 'attach'
  /** Sent once the renderer listens. */
  readonly intent: Intent | null
}

/** Shows a session by lines until the user leaves, the intent is done (`detach`), or the session ends. Resolves with the exit code. */
export async function renderUntil(
  context: CommandContext,
  client: SessionClient,
  options: RenderOptions,
): Promise<number> {
  const { io, globals } = context
  const now = (): number => Date.now()
  const { renderPlain } = await import('../ui/plain.js')
  const { renderJson } = await import('../ui/json.js')
  const renderer =
    options.ui === 'json'
      ? renderJson(client, { stdout: io.stdout })
      : renderPlain(nearby(client, io.cwd), {
          stdout: io.stdout,
          now,
          color: globals.color && io.stdout.isTTY,
          verbose: globals.verbose,
        })
  try {
    return await follow(client, options)
  } finally {
    await renderer.close()
  }
}

/** The session as somebody in the folder `cwd` would tell of it. */
function nearby(client: SessionClient, cwd: string): Source {
  return {
    getState: () => client.getState(),
    subscribe: (listener) =>
      client.subscribe((event, state) => listener(event === null ? null : nearEvent(event, cwd), state)),
    get tails() {
      return client.tails
    },
    send: (intent) => client.send(intent),
  }
}

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/** Waits for the intent, a signal or the session's end: what a UI without keys does. */
async function follow(client: SessionClient, options: RenderOptions): Promise<number> {
  const signalled = Promise.withResolvers<number>()
  let times = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    times += 1
    const code = SIGNALS[signal as keyof typeof SIGNALS]
    void endOn(signal, client, options, times > 1).then(() => signalled.resolve(code))
  }
  for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal)
  try {
    return await Promise.race([signalled.promise, work(client, options, () => times > 0)])
  } finally {
    for (const signal of Object.keys(SIGNALS)) process.removeListener(signal, onSignal)
  }
}

async function work(client: SessionClient, options: RenderOptions, ending: () => boolean): Promise<number> {
  const ended = client.closed.then(() => endCode(client))
  const never = new Promise<number>(() => undefined)
  if (options.intent !== null) {
    // What the machine lacks is told from what is wrong with the stack: it has another exit code.
    let failedWith = 1
    client.subscribe((event) => {
      if (event?.type === 'operationFailed') failedWith = Math.max(failedWith, exitCodeOf(event.error.code))
    })
    try {
      await client.send(options.intent)
    } catch (error) {
      if (!(error instanceof DevstackError)) throw error
      if (error.code === 'SESSION_LOST' && !ending()) throw error
      // The session has told it as an Event, which the renderer shows. A signal that came first decides the exit code.
      return ending() ? never : exitCodeOf(error.code)
    }
    const failed = client.getState().phase !== 'ready'
    if (ending()) return never
    if (failed) return failedWith === 3 ? 3 : 1
    if (options.mode === 'detach') return 0
  }
  const code = await ended
  return ending() ? never : code
}

/** The session is over: on request of another client, or because it was lost. */
function endCode(client: SessionClient): number {
  if (client.getState().phase === 'ended') return 0
  throw new DevstackError('SESSION_LOST', 'the connection to the session was lost', {
    hint: 'the containers keep running: devstack up joins them again',
  })
}

/** A hang-up only detaches; Ctrl-C and TERM cancel what comes up, and stop what is up. */
async function endOn(
  signal: NodeJS.Signals,
  client: SessionClient,
  options: RenderOptions,
  force: boolean,
): Promise<void> {
  if (signal === 'SIGHUP' || options.mode === 'attach') return
  const { phase } = client.getState()
  const intent: Intent =
    phase === 'comingUp' || phase === 'idle' ? { type: 'cancel' } : { type: 'quit', force: false }
  try {
    await client.send(force ? { type: 'quit', force: true } : intent)
  } catch (error) {
    if (!(error instanceof DevstackError) || error.code !== 'SESSION_LOST') throw error
  }
}
