import type { Emit, LogLine, Progress } from '../core/events.js'
import type { ImageChoice } from '../core/images.js'
import type { Operation } from '../core/plan.js'
import type { EngineKind, Health, Instance, ObservedState, Project } from '../core/project.js'

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
  /**
   * It is there and its program waits, for a moment, to be brought level: a `start` of its service calls
   * {@link ApplyContext.level} and lets it begin. An engine tells this of instances that it makes by itself, too.
   */
  | { readonly type: 'created'; readonly instance: Instance }
  /** Why an instance does not come to start; `final`: it will not, unless something is changed. Null: it waits no more. */
  | {
      readonly type: 'waiting'
      readonly service: string
      readonly cause: string | null
      readonly final: boolean
    }
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
  /** Brings an instance level that came to be while the operation runs, before its program begins. */
  readonly level?: ((instance: Instance) => Promise<void>) | undefined
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
 * One way to run a stack. What runs Compose's and what runs Kubernetes' implement it and pass one contract suite.
 * Every method rejects with DevstackError for an expected failure and with the signal's reason when aborted.
 */
export interface Engine {
  readonly kind: EngineKind
  /** What is said where it does not answer: what it is, and what may bring it back. */
  readonly away: { readonly name: string; readonly hint: string }
  /** True where a `start` mostly waits for what the engine does by itself: then no start waits for another one's end. */
  readonly startsByItself?: boolean
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
  /**
   * Keeps the published ports of the last resolved project open on this machine until aborted, where the engine itself does
   * not: Kubernetes. Tells as Events which port leads where and whether it answers.
   */
  publish?(emit: Emit, signal: AbortSignal): Promise<void>
}

export type * from './live-ports.js'

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
