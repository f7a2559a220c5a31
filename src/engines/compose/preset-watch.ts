import type { ServiceExtension } from '../../core/compose.js'
import type { WatchEntry } from '../../core/watch.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { ComposeEngineOptions } from './options.js'

/** By service: the rules of its preset, for services that are built and have no rule of their own. */
export async function presetWatch(
  { presetRules, watch = {} }: ComposeEngineOptions,
  model: ComposeModel,
  extensions: Readonly<Record<string, ServiceExtension>>,
): Promise<Readonly<Record<string, readonly WatchEntry[]>>> {
  if (presetRules === undefined) return {}
  const supplied = await Promise.all(
    Object.entries(servicesOf(model)).map(async ([name, service]) => {
      const { build, develop } = service
      const own = [...(watch[name] ?? []), ...(develop?.watch ?? []), ...(extensions[name]?.watch ?? [])]
      if (own.length > 0 || build?.context === undefined) return []
      const { context, dockerfile = 'Dockerfile', target = null } = build
      return [[name, await presetRules(name, { context, dockerfile, target })] as const]
    }),
  )
  return Object.fromEntries(supplied.flat())
}
