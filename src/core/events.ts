import type { ErrorInfo, SourcePosition } from './error.js'
import type { EngineKind, Health, PublishedPort, WatchAction } from './project.js'

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

// ---- live update ---------------------------------------------------------------------------------------------------

/** Files changed on the host; `batch` counts up in a session. */
export interface FilesChanged {
  readonly type: 'filesChanged'
  readonly batch: number
  readonly files: readonly string[]
  /** When the newest of them was written, by its modification time; null where all are gone. */
  readonly savedAt: string | null
}

/** A rule that covers changed files. */
export interface UpdateRule {
  readonly action: WatchAction
  /** Absolute path on the host. */
  readonly path: string
  /** Null for a preset's. */
  readonly at: SourcePosition | null
  /** How many of the changed files it covers. */
  readonly files: number
}

/** What a batch means for one service. `batch` 0: found when an instance was brought level, not by a save. */
export interface UpdateDecided {
  readonly type: 'updateDecided'
  readonly batch: number
  readonly service: string
  readonly action: WatchAction
  /** Absolute paths on the host; those whose content is really another one. */
  readonly files: readonly string[]
  readonly reason: string
  /** The one that decides the action first. */
  readonly rules: readonly UpdateRule[]
}

/** The bytes are in the container. */
export interface Delivered {
  readonly type: 'delivered'
  readonly batch: number
  readonly service: string
  readonly instance: string
  readonly written: readonly string[]
  readonly deleted: readonly string[]
  readonly bytes: number
  readonly durationMs: number
}

/** The command of a `sync+exec` rule, an installation or a migration ended. */
export interface CommandRan {
  readonly type: 'commandRan'
  readonly batch: number
  readonly service: string
  readonly instance: string
  readonly argv: readonly string[]
  readonly exitCode: number
  /** Its last lines, sanitised. */
  readonly output: readonly string[]
  readonly durationMs: number
}

/** A command changed files in the container that `bring_back` names: they are on the host now. */
export interface BroughtBack {
  readonly type: 'broughtBack'
  readonly batch: number
  readonly service: string
  readonly instance: string
  /** Absolute paths on the host. */
  readonly files: readonly string[]
}

/** The service's processes took up what was delivered. */
export interface Reloaded {
  readonly type: 'reloaded'
  readonly batch: number
  readonly service: string
  readonly instance: string
  /** `app`, `templates`, `update`, `page`, `configuration`, `restart`, ... */
  readonly what: string
  /** For people: `2 workers`, `src/App.tsx by hot update`. */
  readonly detail: string
  readonly durationMs: number
}

/** An update did not get through. The last good process goes on; `waitsFor` says what is next. */
export interface UpdateFailed {
  readonly type: 'updateFailed'
  readonly batch: number
  readonly service: string
  readonly step: 'deliver' | 'exec' | 'reload' | 'restart' | 'rebuild'
  readonly message: string
  /** On the host, where the file is one of the project's. */
  readonly place: SourcePosition | null
  readonly output: readonly string[]
  readonly waitsFor: string
}

/** Whether the service's processes run the saved code. */
export type FreshnessState = 'live' | 'pending' | 'syncing' | 'reloading' | 'stale' | 'unknown'

export interface FreshnessChanged {
  readonly type: 'freshnessChanged'
  readonly service: string
  readonly state: FreshnessState
  /** Null where it is live. */
  readonly waitingFor: string | null
  /** The last batch that it is about. */
  readonly batch: number
}

/** Which program answers: the reloader, or the image's own server and why. */
export interface ServerKnown {
  readonly type: 'serverKnown'
  readonly service: string
  readonly server: string
  readonly reason: string | null
}

/** Something waits for a person: `devstack approve ID`. */
export interface ApprovalRequested {
  readonly type: 'approvalRequested'
  readonly id: string
  readonly kind: 'plan' | 'delete' | 'migration'
  readonly service: string | null
  /** One line: `compose.yaml changed: recreate api, start api`. */
  readonly text: string
  /** What would be done, a line each. */
  readonly detail: readonly string[]
}

/** It waits no more. */
export interface ApprovalEnded {
  readonly type: 'approvalEnded'
  readonly id: string
  readonly outcome: 'approved' | 'withdrawn'
  readonly reason: string
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
  | Held
  | Released
  | StackReady
  | StackFailed
  | StackStopped
  | InstanceStarted
  | InstanceStopped
  | ServiceHealthChanged
  | Logged
  | FilesChanged
  | UpdateDecided
  | Delivered
  | CommandRan
  | BroughtBack
  | Reloaded
  | UpdateFailed
  | FreshnessChanged
  | ServerKnown
  | ApprovalRequested
  | ApprovalEnded

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
