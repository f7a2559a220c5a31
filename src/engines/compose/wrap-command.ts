import { buildPlaceOf, servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { CommandOverride, ComposeEngineOptions } from './options.js'

/** By service: what its containers run instead of what the project says. */
export async function wrapCommands(
  { wrapCommand }: ComposeEngineOptions,
  model: ComposeModel,
): Promise<Readonly<Record<string, CommandOverride | null>>> {
  if (wrapCommand === undefined) return {}
  const wrapped = await Promise.all(
    Object.entries(servicesOf(model)).map(async ([name, service]) => {
      const own = { entrypoint: plain(service.entrypoint), command: plain(service.command) }
      return [name, await wrapCommand(name, buildPlaceOf(service), own)] as const
    }),
  )
  return Object.fromEntries(wrapped)
}

/** Compose prints a dollar sign twice, so that its output can be read again. */
function plain(words: readonly string[] | null | undefined): readonly string[] | null {
  return words?.map((word) => word.replaceAll('$$', () => '$')) ?? null
}
