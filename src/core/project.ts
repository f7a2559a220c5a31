import { DevstackError, type SourcePosition } from './error.js'
import { didYouMean } from './suggest.js'

/** What can run a stack. */
export const ENGINE_KINDS = ['compose', 'kind', 'kubernetes'] as const

/** Which engine runs the stack. */
export type EngineKind = (typeof ENGINE_KINDS)[number]

/** The desired state, whatever file it came from. */
export interface Project {
  /** The Compose project name: unique for each worktree of this user. */
  readonly name: string
  readonly engine: EngineKind
  /** Absolute path of the folder that holds the project. */
  readonly folder: string
  /** Absolute paths of the files it was read from. */
  readonly files: readonly string[]
  /** By name; the order is the file's. */
  readonly services: Readonly<Record<string, Service>>
}

export interface Service {
  readonly name: string
  /** What the container runs, after the image choice; a service that is built has the name Compose gives its image. */
  readonly image: string
  /** Null where the image is not built from sources of the project. */
  readonly build: Build | null
  readonly dependsOn: readonly Dependency[]
  readonly hasHealthCheck: boolean
  /** True where something depends on it with `service_completed_successfully`, or it is expected to end with 0. */
  readonly oneShot: boolean
  readonly ports: readonly PublishedPort[]
  readonly watch: readonly WatchRule[]
  /** Host folders and files that its containers see as they are. */
  readonly binds: readonly BindMount[]
  /** How it is reloaded and proven fresh, from devstack.yaml: `flask`, `react`, `nginx`; null where nothing is known. */
  readonly preset: string | null
  readonly profiles: readonly string[]
  /** Compose restarts it (`always`, `unless-stopped`, `on-failure`). */
  readonly restarts: boolean
  /** Wanted number of containers. */
  readonly replicas: number
  /** The services whose containers are in the same pods: they start, restart and stop with it. */
  readonly sharesPodWith?: readonly string[]
  /** The engine's own hash of the service's configuration; a container with another one is recreated. */
  readonly configHash: string
  /** Where the service is written, or null where that is not known. */
  readonly at: SourcePosition | null
}

export interface Build {
  /** Absolute path. */
  readonly context: string
  /** Absolute path. */
  readonly dockerfile: string
  readonly target: string | null
  readonly args: Readonly<Record<string, string>>
  /**
   * Hash over context, Dockerfile, arguments and bases. An image that carries it is not built again.
   * Files that a `sync` or `sync+restart` rule of the service covers are left out: they are delivered into the
   * container before it starts (and while it runs) where they differ from the image's Manifest.
   */
  readonly hash: string
}

/** The conditions of Compose's `depends_on`. */
export type DependencyCondition = 'service_started' | 'service_healthy' | 'service_completed_successfully'

export interface Dependency {
  readonly service: string
  readonly condition: DependencyCondition
  /** `required: false` in Compose: a dependency that is not there holds nothing. */
  readonly required: boolean
}

export interface PublishedPort {
  readonly target: number
  /** Host port; null where the engine picks one at each start. */
  readonly published: number | null
  readonly hostIp: string
  readonly protocol: 'tcp' | 'udp'
}

/** Compose's `develop.watch` actions. */
export type WatchAction = 'sync' | 'sync+restart' | 'sync+exec' | 'restart' | 'rebuild'

export interface WatchRule {
  readonly action: WatchAction
  /** Absolute path on the host. */
  readonly path: string
  /** Absolute path in the container; null for `rebuild` and `restart`. */
  readonly target: string | null
  /** Patterns as in .dockerignore, relative to `path`. */
  readonly ignore: readonly string[]
  /** Where not empty: only what matches one of these, relative to `path`. */
  readonly include: readonly string[]
  /** Send what differs when a container starts, also where its image carries no Manifest. */
  readonly initialSync: boolean
  /** The command of `sync+exec`; null for the others. */
  readonly exec: WatchCommand | null
  /** Where the rule is written; null for a preset's. */
  readonly at: SourcePosition | null
}

/** A command that runs in the container after files were delivered. */
export interface WatchCommand {
  readonly argv: readonly string[]
  /** Null: the container's own. */
  readonly user: string | null
  readonly workdir: string | null
  readonly env: Readonly<Record<string, string>>
}

/** A folder or file of this machine in a container. */
export interface BindMount {
  /** Absolute path on the host. */
  readonly source: string
  /** Absolute path in the container. */
  readonly target: string
}

/** What runs now, read from the engine by label, never from memory. */
export interface ObservedState {
  readonly instances: readonly Instance[]
}

export type InstanceState = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead'

export type Health = 'healthy' | 'unhealthy' | 'starting' | 'none'

/** One container or pod of a service. */
export interface Instance {
  readonly id: string
  readonly service: string
  readonly name: string
  readonly state: InstanceState
  readonly health: Health
  readonly exitCode: number | null
  readonly oomKilled: boolean
  readonly restarts: number
  /** RFC 3339; null where it never started. */
  readonly startedAt: string | null
  /** The service configuration it was created from. */
  readonly configHash: string
  /** Id of the image it was created from. */
  readonly imageId: string
  /** Id that the service's image reference has now; another one than `imageId` asks for recreation. Null: not there. */
  readonly wantedImageId: string | null
  /** {@link Build.hash} that its image carries, or null. */
  readonly buildHash: string | null
}

/** The names of the services that `service` needs, itself first, transitively. */
export function closure(project: Project, names: readonly string[]): readonly string[] {
  const seen = new Set<string>()
  const visit = (name: string): void => {
    const service = project.services[name]
    if (service === undefined || seen.has(name)) return
    seen.add(name)
    for (const dependency of service.dependsOn) visit(dependency.service)
  }
  for (const name of names) visit(name)
  return Object.keys(project.services).filter((name) => seen.has(name))
}

/** The names of the services that cannot run without one of `names`, without these themselves. */
export function dependants(project: Project, names: Iterable<string>): ReadonlySet<string> {
  const roots = new Set(names)
  const found = new Set<string>()
  let grew = true
  while (grew) {
    grew = false
    for (const service of Object.values(project.services)) {
      if (found.has(service.name) || roots.has(service.name)) continue
      const blocked = service.dependsOn.some(
        (dependency) =>
          dependency.required && (roots.has(dependency.service) || found.has(dependency.service)),
      )
      if (blocked) {
        found.add(service.name)
        grew = true
      }
    }
  }
  return found
}

/**
 * Refuses names that are no services.
 * @throws DevstackError UNKNOWN_SERVICE with the nearest name
 */
export function checkServices(names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new DevstackError('UNKNOWN_SERVICE', `there is no service "${unknown}"`, {
    cause: `the project has ${known.join(', ')}`,
    hint: didYouMean(unknown, known),
  })
}
