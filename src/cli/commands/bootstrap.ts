import type { CommandContext } from '../commands.js'
import { print, printJson } from '../io.js'
import { bringWhatLacks } from '../machine.js'

/** `devstack bootstrap`: installs and starts what lacks; a second run does nothing. */
export async function bootstrap(
  context: CommandContext,
  options: { readonly json?: boolean },
): Promise<number> {
  const { io } = context
  const { steps, engineVersion } = await bringWhatLacks(context, () => undefined)
  if (options.json === true) {
    printJson(io, { engine: engineVersion, steps })
    return 0
  }
  for (const { text, seconds, done } of steps)
    print(io, done ? `✓ ${text}, ${seconds.toFixed(1)} s` : `✓ ${text}`)
  return 0
}
