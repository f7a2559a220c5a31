import type { ComposeContext, ComposeModel } from './compose.js'
import type { BindMount } from './project.js'
import { readRules } from './watch.js'
import type { RuleSource, WatchEntry } from './watch.js'

/** What may hold rules beside the model. */
type Beside = Pick<ComposeContext, 'watch' | 'extensions'>

/** The rules of a service, wherever they are written, and what makes no sense in them. */
export function watchRules(
  model: ComposeModel,
  context: ComposeContext,
  name: string,
  binds: readonly BindMount[],
): ReturnType<typeof readRules> {
  const folder = context.projectDirectory ?? context.folder
  const inCompose = composeEntries(model, context, name).map(({ entries, path }): RuleSource => ({
    entries,
    folder,
    at: (index, key) => context.locate?.([...path, index, ...key]) ?? null,
  }))
  const sources: readonly RuleSource[] = [
    ...inCompose,
    {
      entries: context.watch?.[name] ?? [],
      folder: context.folder,
      at: (index, key) => context.locateConfig?.(['services', name, 'watch', index, ...key]) ?? null,
    },
    { entries: context.presetWatch?.[name] ?? [], folder: context.folder, at: () => null },
  ]
  const build = model.services?.[name]?.build?.context
  const named = [...(build === undefined ? [] : [build]), ...binds.map(({ source }) => source)]
  const roots = [...(context.roots ?? []), context.folder, folder, ...named]
  return readRules({ service: name, binds, roots }, sources)
}

/** Whether any rule is written for the service: then it gets none of its preset. */
export function hasOwnRules(model: ComposeModel, beside: Beside, name: string): boolean {
  const inCompose = composeEntries(model, beside, name).some(({ entries }) => entries.length > 0)
  return inCompose || (beside.watch?.[name] ?? []).length > 0
}

interface ComposeEntries {
  readonly entries: readonly WatchEntry[]
  /** Where they are in the Compose files. */
  readonly path: readonly string[]
}

function composeEntries(
  model: ComposeModel,
  { extensions }: Pick<Beside, 'extensions'>,
  name: string,
): readonly ComposeEntries[] {
  const service = model.services?.[name] ?? {}
  const extension = { ...service['x-devstack'], ...extensions?.[name] }
  return [
    { entries: service.develop?.watch ?? [], path: ['services', name, 'develop', 'watch'] },
    { entries: extension.watch ?? [], path: ['services', name, 'x-devstack', 'watch'] },
    {
      entries: model['x-devstack']?.services?.[name]?.watch ?? [],
      path: ['x-devstack', 'services', name, 'watch'],
    },
  ]
}
