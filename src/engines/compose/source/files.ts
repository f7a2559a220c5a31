import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { SourcePosition } from '../../../core/error.js'
import { isLocal } from './links.js'
import { itemsOf, namesOf, valueOf } from './services.js'
import type { Entry, ServiceSource } from './services.js'
import { isMap } from './types.js'
import type { Environment, LoadedSources, SourceProblem, Stage } from './types.js'

/** A file or folder that must be there. */
interface Wanted {
  readonly path: string
  readonly what: string
  readonly kind: 'file' | 'folder' | 'any'
  readonly at: SourcePosition
  readonly hint: string | null
  readonly stage: Stage
}

/** Files and folders that active services name and that are not there. */
export async function checkFiles(
  loaded: LoadedSources,
  services: readonly ServiceSource[],
  env: Environment,
): Promise<readonly SourceProblem[]> {
  const active = services.filter((service) => service.active)
  const wanted = active.flatMap((service) => [
    ...envFiles(service),
    ...buildInputs(service),
    ...binds(service, env),
    ...definitionFiles(service, loaded, env),
  ])
  const found = await Promise.all(wanted.map(missing))
  return found.flat()
}

async function missing(wanted: Wanted): Promise<readonly SourceProblem[]> {
  const { path, what, kind, at, hint, stage } = wanted
  const there = await stat(path).catch(() => null)
  if (there === null) return [{ message: `${what}: ${path} does not exist`, at, hint, stage }]
  const fits = kind === 'any' || (kind === 'file' ? !there.isDirectory() : there.isDirectory())
  return fits ? [] : [{ message: `${what}: ${path} is not a ${kind}`, at, hint, stage }]
}

/** The env files of all services, also those that need not be there. */
export function namedFiles(services: readonly ServiceSource[]): readonly string[] {
  return services.flatMap(({ bodies }) =>
    ['env_file', 'label_file'].flatMap((key) =>
      itemsOf(bodies, key).flatMap(({ value, document }) => {
        const file = isMap(value) ? value['path'] : value
        return typeof file === 'string' && file !== '' ? [resolve(document.folder, file)] : []
      }),
    ),
  )
}

function envFiles({ name, bodies }: ServiceSource): readonly Wanted[] {
  return ['env_file', 'label_file'].flatMap((key) =>
    itemsOf(bodies, key).flatMap(({ value, at, document }): readonly Wanted[] => {
      const file = isMap(value) ? value['path'] : value
      if (typeof file !== 'string' || file === '') return []
      if (isMap(value) && [false, 'false'].includes(value['required'] as string)) return []
      const hint = key === 'env_file' ? 'create it, or write { path: FILE, required: false }' : null
      const path = resolve(document.folder, file)
      return [{ path, what: `${name}: ${key}`, kind: 'file', at, hint, stage: 'config' }]
    }),
  )
}

function buildInputs({ name, bodies }: ServiceSource): readonly Wanted[] {
  const build = valueOf(bodies, 'build')
  if (build === null) return []
  const context =
    typeof build.value === 'string'
      ? build
      : (valueOf(bodies, 'build', 'context') ?? { ...build, value: '.' })
  if (typeof context.value !== 'string' || !isLocal(context.value)) return []
  const folder = resolve(context.document.folder, context.value)
  const what = `${name}: build context`
  const wanted: Wanted[] = [{ path: folder, what, kind: 'folder', at: context.at, hint: null, stage: 'up' }]
  if (valueOf(bodies, 'build', 'dockerfile_inline') !== null) return wanted
  const own = valueOf(bodies, 'build', 'dockerfile')
  const file = typeof own?.value === 'string' && own.value !== '' ? own.value : 'Dockerfile'
  const { at } = own ?? context
  const hint = own === null ? 'create it, or name another one with build.dockerfile' : null
  return [
    ...wanted,
    { path: resolve(folder, file), what: `${name}: Dockerfile`, kind: 'file', at, hint, stage: 'up' },
  ]
}

/** Compose creates the folder of a bind mount, unless it is told not to. */
function binds({ name, bodies }: ServiceSource, env: Environment): readonly Wanted[] {
  return itemsOf(bodies, 'volumes').flatMap(({ value, at, document }): readonly Wanted[] => {
    if (!isMap(value) || value['type'] !== 'bind' || typeof value['source'] !== 'string') return []
    if (!isMap(value['bind']) || value['bind']['create_host_path'] !== false) return []
    const path = hostPath(document.folder, value['source'], env)
    return path === null
      ? []
      : [{ path, what: `${name}: bind mount`, kind: 'any', at, hint: null, stage: 'up' }]
  })
}

/** The files of the secrets and configs that a service uses. */
function definitionFiles(
  { name, bodies }: ServiceSource,
  loaded: LoadedSources,
  env: Environment,
): readonly Wanted[] {
  return (['secrets', 'configs'] as const).flatMap((kind) => {
    const used = [
      ...namesOf(bodies, kind).map((entry) => entry.name),
      ...itemsOf(bodies, kind).flatMap(({ value }) =>
        isMap(value) && typeof value['source'] === 'string' ? [value['source']] : [],
      ),
    ]
    return [...new Set(used)].flatMap((one): readonly Wanted[] => {
      const file: Entry | null = valueOf(loaded.definitions[kind].get(one) ?? [], 'file')
      if (file === null || typeof file.value !== 'string') return []
      const path = hostPath(file.document.folder, file.value, env)
      const what = `${kind}.${one}, which ${name} uses`
      return path === null ? [] : [{ path, what, kind: 'any', at: file.at, hint: null, stage: 'up' }]
    })
  })
}

/** Null for a path that only the engine's machine or the shell can know. */
function hostPath(folder: string, path: string, env: Environment): string | null {
  const home = env['HOME']
  if (path === '~' || path.startsWith('~/')) return home === undefined ? null : join(home, path.slice(1))
  return resolve(folder, path)
}
