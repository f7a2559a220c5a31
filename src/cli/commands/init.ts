import type { CommandContext } from '../commands.js'

/** `devstack init` */
export async function init(
  _context: CommandContext,
  _options: { readonly print?: boolean },
): Promise<number> {
  return Promise.resolve(2)
}
