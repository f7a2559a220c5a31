import type { ComposeContext } from '../../core/compose.js'
import { hasOwnRules } from '../../core/compose-watch.js'
import type { WatchEntry } from '../../core/watch.js'
import { buildPlaceOf, servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { ComposeEngineOptions } from './options.js'

/** By service: the rules of its preset, for services that are built and have no rule of their own. */
export async function presetWatch(
  { presetRules, watch = {} }: ComposeEngineOptions,
  model: ComposeModel,
  extensions: NonNullable<ComposeContext['extensions']>,
): Promise<Readonly<Record<string, readonly WatchEntry[]>>> {
  if (presetRules === undefined) return {}
  const supplied = await Promise.all(
    Object.entries(servicesOf(model)).map(async ([name, service]) => {
      const place = buildPlaceOf(service)
      if (place === null || hasOwnRules(model, { watch, extensions }, name)) return []
      return [[name, await presetRules(name, place)] as const]
    }),
  )
  return Object.fromEntries(supplied.flat())
}
