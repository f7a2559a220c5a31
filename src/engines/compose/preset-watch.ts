import type { WatchEntry } from '../../core/watch.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { ComposeEngineOptions } from './options.js'

/** The rules of devstack.yaml, and for services that are built and have no rule of their own those of their preset. */
export async function watchRules(
  options: ComposeEngineOptions,
  model: ComposeModel,
): Promise<Readonly<Record<string, readonly WatchEntry[]>>> {
  const given = options.watch ?? {}
  const { presetRules } = options
  if (presetRules === undefined) return given
  const supplied = await Promise.all(
    Object.entries(servicesOf(model)).map(async ([name, service]) => {
      const { build, develop } = service
      const hasRules = given[name] !== undefined || (develop?.watch ?? []).length > 0
      if (hasRules || build?.context === undefined) return []
      const { context, dockerfile = 'Dockerfile', target = null } = build
      return [[name, await presetRules(name, { context, dockerfile, target })] as const]
    }),
  )
  return { ...Object.fromEntries(supplied.flat()), ...given }
}
