import type { Emit, LogLine, Progress } from '../core/events.js'
import type { ImageChoice } from '../core/images.js'
import type { Operation } from '../core/plan.js'
import type { EngineKind, Health, Instance, ObservedState, Project, Service } from '../core/project.js'

/** What an engine read and decided before anything is created. */
export interface Resolution {
  readonly project: Project
  readonly images: readonly ImageChoice[]
  /** {@link Build.hash} that the present image of each built service carries; a missing key: no image. */
  readonly builtHashes: Readonly<Record<string, string | null>>
}

export interface ResolveRequest {
  readonly services: readonly string[]
  readonly profiles: readonly string[]
  /** Assign a free port where a wanted one is taken by somebody else. */
  readonly freePorts: boolean
  /** `look`: nothing will be created, so a taken port or an image that cannot be had is no error, and no registry is asked. */
  readonly purpose: 'up' | 'look'
}

/** What happened to an instance, as the engine tells it. */
export type EngineEvent =
  | { readonly type: 'started'; readonly instance: Instance }
  | {
      readonly type: 'stopped'
      readonly service: string
      readonly instance: string
      readonly exitCode: number | null
      readonly oomKilled: boolean
      readonly lastLines: readonly string[]
      /** True where a restart policy starts it again. */
      readonly willRestart: boolean
    }
  | {
      readonly type: 'healthChanged'
      readonly service: string
      readonly instance: string
      readonly health: Health
      readonly output: string | null
    }
  | { readonly type: 'removed'; readonly service: string; readonly instance: string }
  /** The stream is there: the first value always, and again after each loss. Observe then: something may have been missed. */
  | { readonly type: 'connected' }
  /** The engine does not answer any more. */
  | { readonly type: 'lost'; readonly cause: string }

/** One change to deliver into an instance. */
export type FileChange =
  | {
      readonly type: 'write'
      /** Absolute path on the host, read when it is sent. */
      readonly source: string
      /** Absolute path in the container. */
      readonly target: string
      /** Permission bits. */
      readonly mode: number
    }
  | { readonly type: 'delete'; readonly target: string }

export interface ApplyContext {
  readonly signal: AbortSignal
  readonly progress: (progress: Progress) => void
  /** A line that the operation's program printed, sanitised. */
  readonly output: (line: string) => void
  readonly emit: Emit
}

export interface ExecRequest {
  readonly service: string
  readonly argv: readonly string[]
  readonly tty: boolean
  readonly interactive: boolean
  /** Run as this user; null: the container's own. */
  readonly user: string | null
  readonly workdir: string | null
  readonly env: Readonly<Record<string, string>>
}

export interface LogRequest {
  readonly services: readonly string[]
  readonly follow: boolean
  /** Seconds since the epoch, or null for all. */
  readonly since: number | null
  /** Last lines of each instance; null for all. */
  readonly tail: number | null
}

export interface LogRecord extends LogLine {
  readonly service: string
  readonly instance: string
}

/** CPU and memory of an instance, for `status`. */
export interface InstanceUsage {
  readonly instance: string
  /** Share of one processor since the last call, or null at the first. */
  readonly cpu: number | null
  readonly memoryBytes: number | null
}

/**
 * One way to run a stack. `compose` and `kind` implement it and pass one contract suite.
 * Every method rejects with DevstackError for an expected failure and with the signal's reason when aborted.
 */
export interface Engine {
  readonly kind: EngineKind
  /**
   * Reads the project's files, chooses images, settles ports. Creates nothing in the engine.
   * @throws DevstackError CONFIG_INVALID with every problem at its place, UNKNOWN_SERVICE, PORT_TAKEN, IMAGE_UNAVAILABLE, ENGINE_*
   */
  resolve(request: ResolveRequest, emit: Emit, signal: AbortSignal): Promise<Resolution>
  /** What runs now, by label. */
  observe(signal: AbortSignal): Promise<ObservedState>
  /** Carries out one operation of the last resolved project. Throws BUILD_FAILED, PULL_FAILED, OPERATION_FAILED, ... */
  apply(operation: Operation, context: ApplyContext): Promise<void>
  /** Writes and deletes files in an instance; resolves when they are there. Returns the bytes sent. */
  deliver(instance: Instance, changes: readonly FileChange[], signal: AbortSignal): Promise<number>
  /**
   * The Manifest of the image that an instance was created from: path in the container -> sha256 of what the build
   * context held, for the files that `sync` rules cover (their context path mapped to the rule's target).
   * Null where the image carries none: then nothing may be deleted.
   */
  manifest(instance: Instance, signal: AbortSignal): Promise<Readonly<Record<string, string>> | null>
  /** Runs a command with this process's terminal; resolves with its exit code. */
  exec(request: ExecRequest, signal: AbortSignal): Promise<number>
  /** Until aborted. The first value is `connected`; nothing that happens after it is missed. */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>
  /** Sanitised lines; with `follow` also of instances that start later. */
  logs(request: LogRequest, signal: AbortSignal): AsyncIterable<LogRecord>
  usage(instances: readonly string[], signal: AbortSignal): Promise<readonly InstanceUsage[]>
}

/** Absolute paths that changed, each once; whether a file was written or deleted is decided by stat when it is sent. */
export type FileBatch = readonly string[]

/** Watches host folders. */
export interface FileWatcher {
  /** Batches until aborted; the first change of a quiet time goes out at once. */
  watch(
    roots: readonly string[],
    ignored: (path: string) => boolean,
    signal: AbortSignal,
  ): AsyncIterable<FileBatch>
}

/** A file on the host that a `sync` rule covers. */
export interface SourceFile {
  /** Absolute path on the host. */
  readonly source: string
  /** Absolute path in the container. */
  readonly target: string
  readonly sha256: string
  /** Permission bits. */
  readonly mode: number
}

/** Reads host files that rules cover, after `.dockerignore` and the rules' own ignores. */
export interface SourceTree {
  /** Every covered file of a service; with `paths` only those of these files that exist and are covered. */
  scan(service: Service, paths: readonly string[] | null, signal: AbortSignal): Promise<readonly SourceFile[]>
  /** True where a rule's ignores or the service's `.dockerignore` exclude the path. */
  ignored(service: Service, path: string): boolean
}

/** Time, as the orchestrator sees it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Monotonic milliseconds, for durations. */
  monotonic(): number
}

/** How long services took before; kept from run to run. */
export interface History {
  read(): Promise<Readonly<Record<string, number>>>
  write(usualMs: Readonly<Record<string, number>>): Promise<void>
}
