import type { Problem, SourcePosition } from './error.js'
import type {
  BindMount,
  Build,
  Dependency,
  DependencyCondition,
  EngineKind,
  Project,
  PublishedPort,
  Service,
  WatchRule,
} from './project.js'
import { didYouMean } from './suggest.js'
import { watchRules } from './compose-watch.js'
import { resolvePath } from './watch.js'
import type { WatchEntry } from './watch.js'

/** What `docker compose config --format json` prints, as far as devstack reads it. Every path in it is absolute. */
export interface ComposeModel {
  readonly name?: string
  readonly services?: Readonly<Record<string, ComposeService | null>>
  readonly 'x-devstack'?: ProjectExtension | null
}

export interface ComposeService {
  readonly image?: string
  readonly build?: ComposeBuild | null
  readonly depends_on?: Readonly<
    Record<string, { readonly condition?: string; readonly required?: boolean }>
  > | null
  readonly ports?: readonly ComposePort[] | null
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: string | readonly string[] } | null
  readonly restart?: string
  readonly scale?: number
  readonly deploy?: {
    readonly mode?: string
    readonly replicas?: number
    readonly restart_policy?: { readonly condition?: string }
  } | null
  readonly profiles?: readonly string[] | null
  readonly volumes?:
    | readonly {
        readonly type?: string
        readonly source?: string
        readonly target?: string
      }[]
    | null
  readonly develop?: { readonly watch?: readonly WatchEntry[] | null } | null
  readonly 'x-devstack'?: ServiceExtension | null
}

interface ComposeBuild {
  readonly context?: string
  readonly dockerfile?: string
  readonly dockerfile_inline?: string
  readonly target?: string
  readonly args?: Readonly<Record<string, string | null>> | null
}

interface ComposePort {
  readonly target: number | string
  readonly published?: number | string
  readonly host_ip?: string
  readonly protocol?: string
}

/** `x-devstack` of a service: words that the installed Compose may be too old to accept in `develop.watch`. */
export interface ServiceExtension {
  readonly watch?: readonly WatchEntry[] | null
}

/** `x-devstack` at the top of a Compose file. */
interface ProjectExtension {
  readonly services?: Readonly<Record<string, ServiceExtension | null>> | null
}

/** What the model itself does not say; the caller asked the engine and the files for it. */
export interface ComposeContext {
  /** Wins over the model's name. */
  readonly name: string
  readonly engine: EngineKind
  /** Absolute path of the project's folder. */
  readonly folder: string
  /** Absolute paths of the files it was read from. */
  readonly files: readonly string[]
  /** Against it the relative paths of `x-devstack` are resolved, as Compose does with its own; default: `folder`. */
  readonly projectDirectory?: string
  /** By service, from `docker compose config --hash`. */
  readonly configHashes: Readonly<Record<string, string>>
  /** By service that is built. */
  readonly buildHashes: Readonly<Record<string, string>>
  /** By service: the reference after the image choice, where it is another one than the model's. */
  readonly images?: Readonly<Record<string, string>>
  /** By service: whether its image has a health check of its own, where that is known. */
  readonly imageHealthChecks?: Readonly<Record<string, boolean>>
  /** By service: `services.NAME.watch` of devstack.yaml. */
  readonly watch?: Readonly<Record<string, readonly WatchEntry[]>>
  /** By service: what its preset supplies, paths absolute. */
  readonly presetWatch?: Readonly<Record<string, readonly WatchEntry[]>>
  /** Absolute paths of more folders that belong to the project: its git worktree, folders of included files. */
  readonly roots?: readonly string[]
  /** By service: its preset in devstack.yaml. */
  readonly presets?: Readonly<Record<string, string>>
  /** By service: its `x-devstack`, which `docker compose config --format json` leaves out. */
  readonly extensions?: Readonly<Record<string, ServiceExtension>>
  /** The services of all profiles. Given: names that are none of them are problems. */
  readonly allServices?: readonly string[]
  /** Where a key of the Compose files is written. */
  readonly locate?: (path: readonly (string | number)[]) => SourcePosition | null
  /** Where a key of devstack.yaml is written. */
  readonly locateConfig?: (path: readonly (string | number)[]) => SourcePosition | null
}

export interface ComposeProject {
  readonly project: Project
  /** What makes no sense: the rules that they name are left out. */
  readonly problems: readonly Problem[]
  /** What works, but hardly as it was meant. */
  readonly warnings: readonly Problem[]
}

/** A resolved Compose model as the core's {@link Project}. Pure: the same model and context give the same project. */
export function projectFromCompose(model: ComposeModel, context: ComposeContext): ComposeProject {
  const written = Object.entries(model.services ?? {})
  const awaited = completedDependencies(model)
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const services = written.map(([name, service]): [string, Service] => {
    const watch = watchRules(model, context, name, toBinds(service ?? {}))
    problems.push(...watch.problems)
    warnings.push(...watch.warnings)
    return [name, toService(name, service ?? {}, context, watch.rules, awaited.has(name))]
  })
  const { name, engine, folder, files } = context
  problems.push(...unknownServices(model, context))
  return {
    project: { name, engine, folder, files, services: Object.fromEntries(services) },
    problems,
    warnings,
  }
}

function toService(
  name: string,
  service: ComposeService,
  context: ComposeContext,
  watch: readonly WatchRule[],
  oneShot: boolean,
): Service {
  return {
    name,
    image: context.images?.[name] ?? service.image ?? `${context.name}-${name}`,
    build: toBuild(name, service, context),
    dependsOn: toDependencies(service),
    hasHealthCheck: hasHealthCheck(name, service, context),
    oneShot,
    ports: (service.ports ?? []).map(toPort),
    watch,
    binds: toBinds(service),
    preset: context.presets?.[name] ?? null,
    profiles: service.profiles ?? [],
    restarts: restarts(service),
    replicas: replicas(service),
    configHash: context.configHashes[name] ?? '',
    at: context.locate?.(['services', name]) ?? null,
  }
}

function toBinds(service: ComposeService): readonly BindMount[] {
  return (service.volumes ?? []).flatMap(({ type, source, target }) =>
    type === 'bind' && source !== undefined && target !== undefined ? [{ source, target }] : [],
  )
}

/** A remote context (a Git address) and an inline Dockerfile have no path of this machine. */
function toBuild(name: string, service: ComposeService, context: ComposeContext): Build | null {
  const build = service.build
  if (build === undefined || build === null) return null
  const folder = build.context ?? context.projectDirectory ?? context.folder
  const dockerfile = build.dockerfile ?? 'Dockerfile'
  const inline = build.dockerfile_inline !== undefined
  return {
    context: folder,
    dockerfile: inline ? '' : folder.startsWith('/') ? resolvePath(folder, dockerfile) : dockerfile,
    target: build.target ?? null,
    args: Object.fromEntries(Object.entries(build.args ?? {}).map(([key, value]) => [key, value ?? ''])),
    hash: context.buildHashes[name] ?? '',
  }
}

const conditions: readonly string[] = [
  'service_started',
  'service_healthy',
  'service_completed_successfully',
] satisfies DependencyCondition[]

function isCondition(text: string | undefined): text is DependencyCondition {
  return text !== undefined && conditions.includes(text)
}

function toDependencies(service: ComposeService): readonly Dependency[] {
  return Object.entries(service.depends_on ?? {}).map(([name, { condition, required }]) => ({
    service: name,
    condition: isCondition(condition) ? condition : 'service_started',
    required: required ?? true,
  }))
}

/** A service that somebody waits to see completed is a one-shot. */
function completedDependencies(model: ComposeModel): ReadonlySet<string> {
  const all = Object.values(model.services ?? {}).flatMap((service) => toDependencies(service ?? {}))
  return new Set(
    all
      .filter(({ condition }) => condition === 'service_completed_successfully')
      .map(({ service }) => service),
  )
}

function hasHealthCheck(name: string, service: ComposeService, context: ComposeContext): boolean {
  const ofImage = context.imageHealthChecks?.[name]
  const check = service.healthcheck
  if (check === undefined || check === null) return ofImage ?? false
  if (check.disable === true) return false
  const { test } = check
  // Only the timing is given: the test is the image's own.
  if (test === undefined || test.length === 0) return ofImage ?? true
  return typeof test === 'string' || test[0] !== 'NONE'
}

function toPort(port: ComposePort): PublishedPort {
  // Compose leaves the choice within a range (`8000-8010`) to the engine.
  const published = Number(port.published ?? Number.NaN)
  return {
    target: Number(port.target),
    published: Number.isInteger(published) && published > 0 ? published : null,
    hostIp: port.host_ip ?? '',
    protocol: port.protocol === 'udp' ? 'udp' : 'tcp',
  }
}

function restarts(service: ComposeService): boolean {
  const policy = service.deploy?.restart_policy
  if (service.restart === undefined && policy !== undefined) return (policy.condition ?? 'any') !== 'none'
  return /^(always|unless-stopped|on-failure(:\d+)?)$/.test(service.restart ?? 'no')
}

function replicas(service: ComposeService): number {
  if (service.deploy?.mode === 'global') return 1
  return service.scale ?? service.deploy?.replicas ?? 1
}

/** What is said about a service that is not there would be dropped in silence. */
function unknownServices(model: ComposeModel, context: ComposeContext): readonly Problem[] {
  const known = context.allServices
  if (known === undefined) return []
  const inCompose = Object.keys(model['x-devstack']?.services ?? {}).map((name) => ({
    name,
    by: 'x-devstack',
    at: context.locate?.(['x-devstack', 'services', name]) ?? null,
  }))
  const inConfig = Object.keys(context.watch ?? {}).map((name) => ({
    name,
    by: 'devstack.yaml',
    at: context.locateConfig?.(['services', name]) ?? null,
  }))
  return [...inCompose, ...inConfig]
    .filter(({ name }) => !known.includes(name))
    .map(({ name, by, at }) => ({
      message: `${by} names the unknown service "${name}"`,
      at,
      hint: didYouMean(name, known) ?? `services: ${known.join(', ')}`,
    }))
}
