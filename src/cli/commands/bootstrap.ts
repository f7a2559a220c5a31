import { DevstackError } from '../../core/error.js'
import type { CommandContext } from '../commands.js'
import { updateImageEnv } from '../image-env.js'
import { print, printJson } from '../io.js'
import { bringWhatLacks } from '../machine.js'
import { openStack } from '../stack.js'

/** `devstack bootstrap`: installs and starts what lacks; a second run does nothing. */
export async function bootstrap(
  context: CommandContext,
  options: { readonly json?: boolean },
): Promise<number> {
  const { io } = context
  const { steps, engineVersion, localImages, needsGroup } = await bringWhatLacks(
    context,
    context.globals.engine === 'kind',
  )
  const file = needsGroup ? null : await writeProjectEnv(context, localImages)
  if (options.json === true) {
    printJson(io, { engine: engineVersion, steps, env: file })
    return 0
  }
  for (const { text, seconds, done } of steps)
    print(io, done ? `✓ ${text}, ${seconds.toFixed(1)} s` : `✓ ${text}`)
  if (file !== null) print(io, `✓ ${file} names the images of this machine, for plain docker compose`)
  return 0
}

/** Outside of a project there is none to write. What is wrong with the project is told by the verbs that need it. */
async function writeProjectEnv(context: CommandContext, local: boolean): Promise<string | null> {
  try {
    return await updateImageEnv(await openStack(context), context.io.env, local)
  } catch (error) {
    if (error instanceof DevstackError) return null
    throw error
  }
}
