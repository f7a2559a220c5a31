import { DevstackError } from '../../core/error.js'
import type { CommandContext } from '../commands.js'
import { joinSession } from '../join.js'
import { chooseUi, preloadTerminal, renderUntil } from '../render.js'
import { openStack } from '../stack.js'

/** `devstack attach`: the UI of a session that runs already; leaving it harms nothing. */
export async function attach(context: CommandContext, options: { readonly ui?: string }): Promise<number> {
  const ui = chooseUi(options.ui, context, false)
  if (ui === 'tui') await preloadTerminal()
  const stack = await openStack(context)
  const client = await joinSession(stack)
  if (client === null)
    throw new DevstackError('SERVICE_FAILED', `no session of ${stack.name} runs`, {
      hint: 'devstack up starts one',
    })
  const shown = { ui, mode: 'attach', intent: null } as const
  const code =
    ui === 'tui'
      ? await (await import('../render-terminal.js')).renderTerminal(context, client, shown)
      : await renderUntil(context, client, shown)
  client.close()
  return code
}
