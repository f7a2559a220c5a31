import type { ErrorInfo, SourcePosition } from './error.js'
import type { LiveEventBody } from './live-events.js'
import type { EngineKind, Health, PublishedPort } from './project.js'

export type * from './live-events.js'

/** How far a long operation is. Every field that is not known is null. */
export interface Progress {
  /** What it does now, one line: `RUN pip install ...`, `downloading`. */
  readonly text: string
  readonly step: number | null
  readonly steps: number | null
  /** 0 to 100. */
  readonly percent: number | null
  readonly bytes: number | null
  readonly totalBytes: number | null
}

export type OperationKind =
  'pullImage' | 'buildImage' | 'buildService' | 'create' | 'start' | 'stop' | 'remove'

/** Why something waits: `{ reason: 'waits for', on: ['elasticsearch'] }`. */
export interface Hold {
  readonly reason: string
  readonly on: readonly string[]
}

// ---- the session ------------------------------------------------------------------------------------------------

/** The session holds its lock and socket. First Event of every session. */
export interface SessionStarted {
  readonly type: 'sessionStarted'
  readonly project: string
  readonly folder: string
  readonly engine: EngineKind
  readonly pid: number
  readonly version: string
}

/** The session is over; nothing follows. */
export interface SessionEnded {
  readonly type: 'sessionEnded'
  readonly reason: string
}

/** Something that the user should know and that stops nothing: an unset variable, a reduced build. */
export interface Warned {
  readonly type: 'warned'
  readonly message: string
  readonly hint: string | null
  readonly place: SourcePosition | null
}

/** An Intent could not be carried out. */
export interface Failed {
  readonly type: 'failed'
  readonly error: ErrorInfo
}

// ---- coming up and going down --------------------------------------------------------------------------------------

/** What a service is, told once it is known. */
export interface ServiceSummary {
  readonly name: string
  readonly oneShot: boolean
  readonly hasHealthCheck: boolean
  readonly dependsOn: readonly string[]
  readonly ports: readonly PublishedPort[]
  /** True where it is built from the project's sources. */
  readonly built: boolean
  readonly watched: boolean
  /** As of the service. */
  readonly sharesPodWith?: readonly string[]
}

/** An `up` (or another change) began; `services` are those it is about, in the file's order. */
export interface UpStarted {
  readonly type: 'upStarted'
  readonly services: readonly string[]
}

/** The project was read. */
export interface ProjectResolved {
  readonly type: 'projectResolved'
  readonly services: readonly ServiceSummary[]
}

/** The plan was made; empty where nothing is to do. */
export interface Planned {
  readonly type: 'planned'
  readonly operations: readonly {
    readonly id: string
    readonly label: string
    readonly cause: string
    readonly services: readonly string[]
  }[]
}

interface OperationEvent {
  readonly operation: string
  readonly kind: OperationKind
  readonly services: readonly string[]
}

export interface OperationStarted extends OperationEvent {
  readonly type: 'operationStarted'
  readonly label: string
  readonly cause: string
}

/** At most ten a second for each operation. */
export interface OperationProgressed extends OperationEvent {
  readonly type: 'operationProgressed'
  readonly progress: Progress
}

export interface OperationSucceeded extends OperationEvent {
  readonly type: 'operationSucceeded'
  readonly durationMs: number
}

export interface OperationFailed extends OperationEvent {
  readonly type: 'operationFailed'
  readonly durationMs: number
  readonly error: ErrorInfo
  /** The last lines of what it printed. */
  readonly output: readonly string[]
}

/** Where a service's image comes from, and why. */
export interface ImageChosen {
  readonly type: 'imageChosen'
  readonly services: readonly string[]
  /** What the project asked for. */
  readonly wanted: string
  /** What is used. */
  readonly ref: string
  readonly origin: 'pulled' | 'built' | 'reused'
  readonly reason: string
  /** What a reduced build lacks, or null. */
  readonly reduced: string | null
}

/** A published port was settled. `wanted` differs from `port` where it was taken or belongs to another worktree. */
export interface PortAssigned {
  readonly type: 'portAssigned'
  readonly service: string
  readonly target: number
  readonly hostIp: string
  readonly port: number
  readonly wanted: number | null
  readonly reason: string
}

/** Whether a published port really leads to its service: told where that changed. Only of ports that devstack keeps open itself. */
export interface AddressChecked {
  readonly type: 'addressChecked'
  readonly service: string
  readonly target: number
  /** Why nothing gets through; null: a connection went through. */
  readonly failure: string | null
}

/** A service waits; again when what it waits for changes. */
export interface Held {
  readonly type: 'held'
  readonly service: string
  readonly hold: Hold
}

/** A service waits no more. */
export interface Released {
  readonly type: 'released'
  readonly service: string
}

/** Every service that was asked for is healthy, running (without a health check) or completed (one-shots). */
export interface StackReady {
  readonly type: 'stackReady'
  readonly durationMs: number
  /** What readiness waited for, first to last: own time of each service on the path. Empty where nothing was started. */
  readonly criticalPath: readonly { readonly service: string; readonly durationMs: number }[]
  readonly urls: readonly { readonly service: string; readonly url: string }[]
  /** How many containers this run created or started. */
  readonly touched: number
}

/** An `up` ended without the stack being ready. `cancelled`: on request. */
export interface StackFailed {
  readonly type: 'stackFailed'
  readonly durationMs: number
  readonly cancelled: boolean
  readonly failures: readonly { readonly service: string; readonly cause: string }[]
}

/** Services were stopped or removed on request. */
export interface StackStopped {
  readonly type: 'stackStopped'
  readonly services: readonly string[]
  readonly removed: boolean
}

// ---- instances -----------------------------------------------------------------------------------------------------

export interface InstanceStarted {
  readonly type: 'instanceStarted'
  readonly service: string
  readonly instance: string
  readonly startedAt: string
  readonly restarts: number
}

/** A container ended. `cause` names exit code, signal or out of memory. */
export interface InstanceStopped {
  readonly type: 'instanceStopped'
  readonly service: string
  readonly instance: string
  readonly exitCode: number | null
  readonly oomKilled: boolean
  readonly cause: string
  /** True where devstack asked for it. */
  readonly requested: boolean
  /** True where the container's restart policy starts it again. */
  readonly willRestart: boolean
  /** Its last lines, for a failure. */
  readonly lastLines: readonly string[]
}

export interface ServiceHealthChanged {
  readonly type: 'serviceHealthChanged'
  readonly service: string
  readonly instance: string
  readonly health: Health
  /** The health check's last output where it fails. */
  readonly output: string | null
}

/** Log lines, batched for at most 100 ms; sanitised: no control sequences, valid Unicode. */
export interface Logged {
  readonly type: 'logged'
  readonly service: string
  readonly instance: string
  readonly firstLine: number
  readonly lastLine: number
  readonly dropped: number
  readonly lines: readonly LogLine[]
}

export interface LogLine {
  readonly at: string
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** What happened, without number and time. */
export type EventBody =
  | SessionStarted
  | SessionEnded
  | Warned
  | Failed
  | UpStarted
  | ProjectResolved
  | Planned
  | OperationStarted
  | OperationProgressed
  | OperationSucceeded
  | OperationFailed
  | ImageChosen
  | PortAssigned
  | AddressChecked
  | Held
  | Released
  | StackReady
  | StackFailed
  | StackStopped
  | InstanceStarted
  | InstanceStopped
  | ServiceHealthChanged
  | Logged
  | LiveEventBody

/** What happened: past tense, serialisable, numbered without gaps from 1 in a session. */
export type Event = EventBody & {
  readonly seq: number
  /** RFC 3339 with milliseconds, UTC. */
  readonly at: string
}

/** Takes an Event's body; number and time are added by the store. */
export type Emit = (event: EventBody) => void

/** The name of this Event format in `--ui json`. */
export const EVENT_SCHEMA = 'devstack.event/1'
