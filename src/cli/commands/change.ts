import { carryOut } from '../carry-out.js'
import type { CommandContext } from '../commands.js'
import { withSession } from '../launch.js'
import { openStack } from '../stack.js'
import { printStatus } from './status.js'

/** `restart`, `stop`, `start`, `rebuild`: an intent to the session, or done here when none runs. */
export async function change(
  context: CommandContext,
  verb: 'restart' | 'stop' | 'start' | 'rebuild',
  services: readonly string[],
  options: { readonly json?: boolean },
): Promise<number> {
  const stack = await openStack(context)
  return withSession(stack, context.io.env, async (client) => {
    const failed = await carryOut(client, { type: verb, services })
    const state = client.getState()
    await printStatus(context, stack, state, null, options.json === true)
    return failed === null ? 0 : 1
  })
}
