import type { SourcePosition } from '../../../core/error.js'
import { didYouMean } from '../../../core/suggest.js'
import { itemsOf, namesOf, valueOf } from './services.js'
import type { Entry, ServiceSource } from './services.js'
import { isMap, KINDS, placeOf, textOf } from './types.js'
import type { Kind, LoadedSources, SourceProblem } from './types.js'

interface Reference {
  readonly name: string
  readonly at: SourcePosition
  /** The key that refers: `depends_on`. */
  readonly key: string
  readonly required: boolean
}

/** Services, networks, volumes, secrets and configs that are named and not there, and dependencies that go in a circle. */
export function checkReferences(
  loaded: LoadedSources,
  services: readonly ServiceSource[],
): readonly SourceProblem[] {
  const active = services.filter(({ active }) => active)
  const known = new Map(services.map((service) => [service.name, service]))
  return [
    ...active.flatMap((service) => serviceReferences(service, known)),
    ...active.flatMap((service) => definitionReferences(service, loaded)),
    ...active.flatMap(ownImage),
    ...cycles(active),
  ]
}

function ownImage({ name, bodies }: ServiceSource): readonly SourceProblem[] {
  if (['image', 'build', 'provider'].some((key) => valueOf(bodies, key) !== null)) return []
  const last = bodies.at(-1)
  // That a service is no map at all was told already.
  if (last === undefined || !last.written) return []
  const message = `${name} has neither an image nor a build`
  return [
    { message, at: placeOf(last, [], 'key'), hint: 'add image: NAME or build: FOLDER', stage: 'config' },
  ]
}

function serviceReferences(
  service: ServiceSource,
  known: ReadonlyMap<string, ServiceSource>,
): readonly SourceProblem[] {
  return referencesOf(service).flatMap(({ name, at, key, required }): readonly SourceProblem[] => {
    const other = known.get(name)
    if (!required || other?.active === true) return []
    if (other !== undefined) {
      const profiles = itemsOf(other.bodies, 'profiles').map(({ value }) => textOf(value))
      const message = `${service.name}: ${key} names "${name}", which is only in the profile ${profiles.join(', ')}`
      return [{ message, at, hint: `add --profile ${profiles[0] ?? ''}`, stage: 'config' }]
    }
    const names = [...known.keys()]
    const hint = didYouMean(name, names) ?? `services: ${names.join(', ')}`
    return [
      { message: `${service.name}: ${key} names the unknown service "${name}"`, at, hint, stage: 'config' },
    ]
  })
}

/** Whom a service needs: Compose adds the implied dependencies to those of depends_on. */
function referencesOf({ bodies }: ServiceSource): readonly Reference[] {
  const depends = namesOf(bodies, 'depends_on').map(({ name, at, value }) => ({
    name,
    at,
    key: 'depends_on',
    required: !isMap(value) || value['required'] !== false,
  }))
  const modes = ['network_mode', 'ipc', 'pid', 'uts', 'cgroup'].flatMap((key) =>
    prefixed(valueOf(bodies, key), key),
  )
  const links = itemsOf(bodies, 'links').flatMap((entry) => named(entry, 'links'))
  const from = itemsOf(bodies, 'volumes_from').flatMap((entry) => named(entry, 'volumes_from'))
  return [...depends, ...modes, ...links, ...from]
}

function prefixed(entry: Entry | null, key: string): readonly Reference[] {
  const name = /^service:(.+)$/.exec(textOf(entry?.value))?.[1]
  return entry === null || name === undefined ? [] : [{ name, at: entry.at, key, required: true }]
}

function named({ value, at }: Entry, key: string): readonly Reference[] {
  const text = textOf(value)
  const name = text.split(':')[0] ?? ''
  return name === '' || text.startsWith('container:') ? [] : [{ name, at, key, required: true }]
}

function definitionReferences(
  { name, bodies }: ServiceSource,
  loaded: LoadedSources,
): readonly SourceProblem[] {
  const used: readonly (readonly [Kind, string, SourcePosition])[] = [
    ...namesOf(bodies, 'networks').map((entry) => ['networks', entry.name, entry.at] as const),
    ...itemsOf(bodies, 'volumes').flatMap((entry) => {
      const volume = volumeOf(entry.value)
      return volume === null ? [] : [['volumes', volume, entry.at] as const]
    }),
    ...(['secrets', 'configs'] as const).flatMap((kind) =>
      itemsOf(bodies, kind).flatMap(({ value, at }) => {
        const source = isMap(value) ? value['source'] : value
        return typeof source === 'string' ? [[kind, source, at] as const] : []
      }),
    ),
  ]
  return used.flatMap(([kind, wanted, at]): readonly SourceProblem[] => {
    const known = loaded.definitions[kind]
    if (known.has(wanted) || (kind === 'networks' && wanted === 'default')) return []
    const hint = didYouMean(wanted, known.keys()) ?? `define it under ${kind}: at the top level of the file`
    const message = `${name}: the ${kind.slice(0, -1)} "${wanted}" is not defined`
    return [{ message, at, hint, stage: 'config' }]
  })
}

/** The named volume of a mount, or null for a bind, a tmpfs or an anonymous one. */
function volumeOf(value: unknown): string | null {
  if (isMap(value)) {
    const { type, source } = value
    return type === 'volume' && typeof source === 'string' && source !== '' ? source : null
  }
  if (typeof value !== 'string' || !value.includes(':')) return null
  const source = value.slice(0, value.indexOf(':'))
  // A single letter before a colon is a drive.
  return /^[A-Za-z0-9][\w.-]+$/.test(source) ? source : null
}

/** Each circle once, told whole, at the dependency that closes it. */
function cycles(services: readonly ServiceSource[]): readonly SourceProblem[] {
  const edges = new Map(services.map((service) => [service.name, referencesOf(service)]))
  const state = new Map<string, 'open' | 'done'>()
  const problems: SourceProblem[] = []
  const open: { readonly name: string; readonly rest: Iterator<Reference> }[] = []
  const enter = (name: string): void => {
    state.set(name, 'open')
    open.push({ name, rest: (edges.get(name) ?? []).values() })
  }
  for (const { name } of services) {
    if (!state.has(name)) enter(name)
    // Not recursive: a chain of dependencies may be longer than the stack.
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const { value: next, done } = top.rest.next() as IteratorResult<Reference, undefined>
      if (done === true || next === undefined) {
        state.set(top.name, 'done')
        open.pop()
      } else if (state.get(next.name) === 'open') {
        const names = open.map((one) => one.name)
        const circle = [...names.slice(names.indexOf(next.name)), next.name]
        const message = `services depend on each other in a circle: ${circle.join(' -> ')}`
        problems.push({ message, at: next.at, hint: 'remove one of these dependencies', stage: 'config' })
      } else if (!state.has(next.name) && edges.has(next.name)) enter(next.name)
    }
  }
  return problems
}

/** Definitions that contradict themselves. */
export function checkDefinitions(loaded: LoadedSources): readonly SourceProblem[] {
  return KINDS.flatMap((kind) =>
    [...loaded.definitions[kind]].flatMap(([name, bodies]): readonly SourceProblem[] => {
      const external = valueOf(bodies, 'external')
      const isExternal =
        external !== null && (isMap(external.value) || [true, 'true'].includes(external.value as string))
      if (isExternal) {
        return bodies.flatMap((body) =>
          Object.keys(body.value)
            .filter((key) => key !== 'external' && key !== 'name' && !key.startsWith('x-'))
            .map((key) => ({
              message: `${kind}.${name}: an external one cannot have "${key}"`,
              at: placeOf(body, [key], 'key'),
              hint: `remove ${key} or external`,
              stage: 'config' as const,
            })),
        )
      }
      const [body] = bodies
      if (kind === 'networks' || kind === 'volumes' || body === undefined) return []
      const sources = kind === 'secrets' ? ['file', 'environment'] : ['file', 'environment', 'content']
      const written = sources.filter((key) => valueOf(bodies, key) !== null)
      // A driver brings its own source.
      if (written.length === 1 || valueOf(bodies, 'driver') !== null) return []
      const what =
        written.length === 0
          ? `needs one of ${sources.join(', ')}`
          : `has ${written.join(' and ')}; only one can be`
      return [
        { message: `${kind}.${name} ${what}`, at: placeOf(body, [], 'key'), hint: null, stage: 'config' },
      ]
    }),
  )
}
