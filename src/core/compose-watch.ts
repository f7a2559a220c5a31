import type { ComposeContext, ComposeModel } from './compose.js'
import type { BindMount } from './project.js'
import { readRules } from './watch.js'
import type { RuleSource } from './watch.js'

/** The rules of a service, wherever they are written, and what makes no sense in them. */
export function watchRules(
  model: ComposeModel,
  context: ComposeContext,
  name: string,
  binds: readonly BindMount[],
): ReturnType<typeof readRules> {
  const service = model.services?.[name] ?? {}
  const folder = context.projectDirectory ?? context.folder
  const extension = { ...service['x-devstack'], ...context.extensions?.[name] }
  const sources: readonly RuleSource[] = [
    {
      entries: service.develop?.watch ?? [],
      folder,
      at: (index, key) => context.locate?.(['services', name, 'develop', 'watch', index, ...key]) ?? null,
    },
    {
      entries: extension.watch ?? [],
      folder,
      at: (index, key) => context.locate?.(['services', name, 'x-devstack', 'watch', index, ...key]) ?? null,
    },
    {
      entries: model['x-devstack']?.services?.[name]?.watch ?? [],
      folder,
      at: (index, key) => context.locate?.(['x-devstack', 'services', name, 'watch', index, ...key]) ?? null,
    },
    {
      entries: context.watch?.[name] ?? [],
      folder: context.folder,
      at: (index, key) => context.locateConfig?.(['services', name, 'watch', index, ...key]) ?? null,
    },
    { entries: context.presetWatch?.[name] ?? [], folder: context.folder, at: () => null },
  ]
  const build = service.build?.context
  const named = [...(build === undefined ? [] : [build]), ...binds.map(({ source }) => source)]
  const roots = [...(context.roots ?? []), context.folder, folder, ...named]
  return readRules({ service: name, binds, roots }, sources)
}
