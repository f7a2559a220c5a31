import open from 'open'
import { DevstackError, never } from '../core/error.js'
import type { Source } from '../ui/source.js'
import { renderTui } from '../ui/tui/render-tui.js'
import type { CommandContext } from './commands.js'
import type { RenderOptions } from './render.js'

/** The terminal UI: keys end it, and so do signals; the terminal is restored on every way out. Resolves with the exit code. */
export async function renderTerminal(
  { io, globals }: CommandContext,
  source: Source,
  options: RenderOptions,
): Promise<number> {
  const tui = await renderTui(source, {
    mode: options.mode === 'attach' ? 'attach' : 'up',
    stdin: io.stdin,
    stdout: io.stdout,
    color: globals.color,
    screenReader: io.env['INK_SCREEN_READER'] === 'true',
    now: () => Date.now(),
    onOpen: async (url) => {
      await open(url)
    },
  })
  let signalled: number | null = null
  const onHangUp = (): void => {
    signalled = 129
    tui.unmount('detached')
  }
  const onTerminate = (): void => {
    signalled = 143
    const { phase } = source.getState()
    const intent =
      phase === 'comingUp' ? ({ type: 'cancel' } as const) : ({ type: 'quit', force: false } as const)
    void source
      .send(intent)
      .catch(() => undefined)
      .then(() => tui.unmount('quit'))
  }
  process.on('SIGHUP', onHangUp)
  process.on('SIGTERM', onTerminate)
  // A bug elsewhere must not leave the terminal in the alternate screen.
  const onExit = (): void => tui.unmount('ended')
  process.on('exit', onExit)
  try {
    const lost = Promise.withResolvers<never>()
    if (options.intent !== null) {
      source.send(options.intent).catch((error: unknown) => {
        // What else goes wrong is an Event, which the UI shows.
        if (!(error instanceof DevstackError) || (error.code === 'SESSION_LOST' && neverMet(source)))
          lost.reject(error)
      })
    }
    const outcome = await Promise.race([tui.waitUntilExit(), lost.promise])
    if (signalled !== null) return signalled
    switch (outcome) {
      case 'detached':
        return 0
      case 'quit':
      case 'cancelled':
      case 'forced':
        return 130
      case 'ended':
        return source.getState().phase === 'ended' ? 0 : 1
      default:
        return never(outcome)
    }
  } finally {
    tui.unmount('ended')
    for (const [signal, listener] of [
      ['SIGHUP', onHangUp],
      ['SIGTERM', onTerminate],
      ['exit', onExit],
    ] as const)
      process.removeListener(signal, listener)
  }
}

/** The session could not be started: there is nothing to show. */
function neverMet(source: Source): boolean {
  return source.getState().session === null && source.getState().phase !== 'ended'
}
