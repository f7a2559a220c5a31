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
  /**
   * Absolute paths of every file that the project was read from: compose files and what they include and extend, env files,
   * Dockerfiles and ignore files of built services, devstack.yaml; also those that are named but not there.
   */
  readonly inputs: readonly string[]
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

/** One change to deliver into an instance. Targets are absolute paths in the container. */
export type FileChange =
  | {
      readonly type: 'write'
      /** Absolute path on the host, read when it is sent. */
      readonly source: string
      readonly target: string
      /** Permission bits. */
      readonly mode: number
    }
  /** A symbolic link with this text. */
  | { readonly type: 'link'; readonly target: string; readonly to: string }
  | { readonly type: 'delete'; readonly target: string }

/** What a delivery did. */
export interface Delivery {
  /** Of file contents. */
  readonly bytes: number
  /** Target -> sha256 of the bytes that were really sent (of `link:TO` for a link). */
  readonly written: Readonly<Record<string, string>>
  /** What could not be sent, and why: gone since, not readable. The rest is there. */
  readonly failed: readonly { readonly target: string; readonly cause: string }[]
}

/** A process to run in an instance, without a terminal. */
export interface InsideRequest {
  readonly argv: readonly string[]
  /** Null: the container's own. */
  readonly user: string | null
  readonly workdir: string | null
  readonly env: Readonly<Record<string, string>>
}

/** A process in an instance, with pipes. */
export interface InsideProcess {
  /** Its stdout, line by line, not sanitised; ends with the process. */
  readonly lines: AsyncIterable<string>
  /** Writes a line to its stdin. */
  write(line: string): void
  /** How it ended; null where the connection broke. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly stderr: string }>
  /** Closes its stdin and the connection. */
  close(): void
}

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
  /**
   * Writes and deletes files in an instance, running or not; resolves when they are there.
   * @throws DevstackError DELIVERY_FAILED where nothing can be delivered there
   */
  deliver(instance: Instance, changes: readonly FileChange[], signal: AbortSignal): Promise<Delivery>
  /** Starts a process in a running instance and keeps its pipes open. Rejects with EXEC_FAILED where it cannot be started. */
  open(instance: Instance, request: InsideRequest, signal: AbortSignal): Promise<InsideProcess>
  /** Runs a process in a running instance to its end; `output` are its sanitised lines, stdout and stderr. */
  run(
    instance: Instance,
    request: InsideRequest,
    output: (line: string) => void,
    signal: AbortSignal,
  ): Promise<number>
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

/** Paths that changed on the host. */
export interface SourceBatch {
  /** Absolute, each once; whether one was written or deleted is decided by stat when it is sent. */
  readonly paths: readonly string[]
  /** False for the leading edge of a burst: more may follow at once. */
  readonly settled: boolean
}

/** A file on the host that a rule covers. */
export interface SourceFile {
  /** Absolute path on the host. */
  readonly source: string
  /** Absolute path in the container; null where its rule delivers nothing: `restart`, `rebuild`, a bind mount. */
  readonly target: string | null
  /** Of the content; of `link:TO` for a symbolic link. */
  readonly sha256: string
  /** Permission bits. */
  readonly mode: number
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number
  /** The text of a symbolic link that stays within its rule's folder; null for a file. */
  readonly link: string | null
}

/** What the host has. */
export interface SourceScan {
  readonly files: readonly SourceFile[]
  /**
   * Of the paths that were asked for: those that a rule covers and where no file is. Where a folder is, what is below it
   * stands among `files`, and anything else below it is gone.
   */
  readonly gone: readonly string[]
  /** What is there and cannot be delivered: a link out of the root, a device, an unreadable file, with the reason. */
  readonly refused: readonly { readonly path: string; readonly reason: string }[]
}

/** The host's side of live update: one set of rules and ignores for watching, hashing and delivering. */
export interface Sources {
  /** Batches until aborted; the first change of a quiet time goes out at once. `warn`: polling took over, and why. */
  watch(
    services: readonly Service[],
    warn: (message: string, hint: string | null) => void,
    signal: AbortSignal,
  ): AsyncIterable<SourceBatch>
  /** Every covered file of a service; with `paths` only these files, and what is below those that are folders. */
  scan(service: Service, paths: readonly string[] | null, signal: AbortSignal): Promise<SourceScan>
  /** Looks by stat whether anything changed that was not told: paths that differ from what the last look or batch saw. */
  recheck(service: Service, signal: AbortSignal): Promise<readonly string[]>
  /** Replaces a file of the host in one step; its mode stays. Only for files that a rule of the user's names. */
  replace(path: string, content: Uint8Array): Promise<void>
}

/** What was delivered to each instance, kept across sessions: target -> sha256; null: deleted; '': under way, content not known. */
export interface DeliveryRecord {
  read(instance: string): Promise<Readonly<Record<string, string | null>>>
  /** It outlives this process when it resolves, though not a power failure. */
  add(instance: string, entries: Readonly<Record<string, string | null>>): Promise<void>
  /** Forgets every instance but these. */
  keep(instances: readonly string[]): Promise<void>
}

/** What became of delivered files in a service's processes. */
export type TakeUpResult =
  /** Every process that can answer has them. */
  | { readonly type: 'taken'; readonly what: string; readonly detail: string }
  /** The last good process goes on; `file` is a path in the container. */
  | {
      readonly type: 'failed'
      readonly message: string
      readonly place: { readonly file: string; readonly line: number; readonly column: number | null } | null
      readonly output: readonly string[]
    }
  /** Only a restart of the container takes them up. */
  | { readonly type: 'restart'; readonly reason: string }
  /** It cannot be told. */
  | { readonly type: 'unproven'; readonly reason: string }

/** What was put into an instance, by path in the container. */
export interface DeliveredFiles {
  readonly written: readonly string[]
  readonly deleted: readonly string[]
}

/** Tells one instance's processes of delivered files and proves that they took them up. */
export interface Reloader {
  readonly server: { readonly name: string; readonly reason: string | null } | null
  /** How the instance stood when it was attached to. */
  readonly first: TakeUpResult
  takeUp(files: DeliveredFiles, signal: AbortSignal): Promise<TakeUpResult>
  close(): void
}

export interface AttachContext {
  readonly engine: Pick<Engine, 'open' | 'run' | 'deliver'>
  readonly service: Service
  readonly instance: Instance
  /** The processes changed by themselves: one died and was replaced, an open page reported an error. */
  readonly changed: (result: TakeUpResult) => void
}

/** What devstack knows of one kind of service: `flask`, `react`, `nginx`. */
export interface LivePreset {
  /** Files of devstack's own that the container needs before it starts. */
  support(service: Service): Promise<readonly Extract<FileChange, { type: 'write' }>[]>
  /** Resolves once the instance's processes answer or have failed. */
  attach(context: AttachContext, signal: AbortSignal): Promise<Reloader>
  /** Something to offer after these files (paths in the container) were delivered: a migration. Never run unasked. */
  offer(files: readonly string[]): { readonly text: string; readonly argv: readonly string[] } | null
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
