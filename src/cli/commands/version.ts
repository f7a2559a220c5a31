import type { CommandContext } from '../commands.js'
import { print, printJson } from '../io.js'
import { version } from '../version.js'

/** `devstack version`: the version, as JSON with the Node that runs it. */
export function printVersion(context: CommandContext, options: { readonly json?: boolean }): Promise<number> {
  if (options.json === true)
    printJson(context.io, { version, node: process.versions.node, platform: process.platform })
  else print(context.io, version)
  return Promise.resolve(0)
}
