import type { ImageChoice } from '../../core/images.js'
import { formatBytes } from '../../core/text.js'
import type { EngineImage } from '../../engines/images/engine.js'
import { readHostCa } from '../../engines/images/host-settings.js'
import { findSuperseded, pruneSuperseded } from '../../engines/images/prune.js'
import { IMAGE_LABEL, loadRecipes } from '../../engines/images/recipes.js'
import type { NodeImageDescription } from '../../engines/kind/node-image/options.js'
import { nodeImage } from '../cluster.js'
import type { CommandContext } from '../commands.js'
import { print, printJson } from '../io.js'
import { createEngine } from '../engine.js'
import { imageEngine, openStack, packagePath } from '../stack.js'
import { formatTable } from '../table.js'

interface Row {
  readonly wanted: string
  readonly ref: string
  readonly services: readonly string[]
  readonly origin: string
  readonly here: boolean
  readonly bytes: number | null
  readonly reason: string
  readonly reduced: string | null
  /** It trusts the certificates of the machine that built it. */
  readonly trustsHostCa: boolean
}

/** `devstack images`: where each image comes from and why. `--prune` removes only what devstack built and replaced. */
export async function images(
  context: CommandContext,
  options: { readonly json?: boolean; readonly prune?: boolean },
): Promise<number> {
  if (options.prune === true) return prune(context)
  const { io } = context
  const stack = await openStack(context)
  const engine = await createEngine(stack, io.env)
  const signal = AbortSignal.timeout(60_000)
  const request = { services: [], profiles: [], freePorts: false, purpose: 'look' } as const
  const { images: choices, project } = await engine.resolve(request, () => undefined, signal)
  const present = await (await imageEngine(io.env)).images(signal)
  const built = Object.values(project.services).filter((service) => service.build !== null)
  const rows = [
    ...choices.map((choice) => rowOf(choice, present)),
    ...built.map((service) => builtRow(service.image, service.name, present)),
    ...(stack.engine === 'kind' ? [nodeRow(await nodeImage(io.env, stack, signal))] : []),
  ]
  if (options.json === true) {
    for (const row of rows) printJson(io, row)
    return 0
  }
  const cells = rows.map((row) => [
    row.ref,
    row.here ? row.origin : `not here yet: will be ${row.origin}`,
    row.bytes === null ? '' : formatBytes(row.bytes),
    row.services.join(', '),
    row.wanted === row.ref ? '' : `for ${row.wanted}`,
  ])
  for (const line of formatTable(['IMAGE', 'ORIGIN', 'SIZE', 'SERVICES', ''], cells)) print(io, line)
  for (const { ref, reason, reduced } of rows) {
    if (reason !== '' && reason !== 'already here') print(io, `${ref}: ${reason}`)
    if (reduced !== null) print(io, `${ref}: ${reduced}`)
  }
  return 0
}

function rowOf(choice: ImageChoice, present: readonly EngineImage[]): Row {
  const { wanted, ref, services, origin, reason, reduced } = choice
  const image = find(ref, present)
  const trustsHostCa = image?.labels[IMAGE_LABEL.trustsHostCa] !== undefined
  return {
    wanted,
    ref,
    services,
    origin,
    here: image !== null,
    bytes: image?.size ?? null,
    reason,
    reduced,
    trustsHostCa,
  }
}

function nodeRow({
  ref,
  origin,
  present,
  bytes,
  cachedBytes,
  kubernetes,
  reason,
}: NodeImageDescription): Row {
  const cached = cachedBytes === null ? '' : `; ${formatBytes(cachedBytes)} in the cache`
  return {
    wanted: ref,
    ref,
    services: ["the cluster's nodes"],
    origin,
    here: present,
    bytes,
    reason: `Kubernetes ${kubernetes}, ${reason}${cached}`,
    reduced: null,
    trustsHostCa: false,
  }
}

function builtRow(ref: string, service: string, present: readonly EngineImage[]): Row {
  const image = find(ref, present)
  return {
    wanted: ref,
    ref,
    services: [service],
    origin: 'built',
    here: image !== null,
    bytes: image?.size ?? null,
    reason: '',
    reduced: null,
    trustsHostCa: false,
  }
}

function find(ref: string, present: readonly EngineImage[]): EngineImage | null {
  const tagged = ref.includes(':') ? ref : `${ref}:latest`
  return present.find((image) => image.tags.includes(tagged)) ?? null
}

async function prune({ io }: CommandContext): Promise<number> {
  const engine = await imageEngine(io.env)
  const recipes = await loadRecipes(packagePath('compose/images'), await readHostCa(io.env))
  const signal = AbortSignal.timeout(120_000)
  const all = [...recipes, ...(await loadRecipes(packagePath('kind'), null))]
  const removed = await pruneSuperseded(engine, await findSuperseded(engine, all, signal), signal)
  for (const image of removed) print(io, `removed ${image.ref}, ${formatBytes(image.bytes)}`)
  if (removed.length === 0) print(io, 'nothing superseded')
  return 0
}
