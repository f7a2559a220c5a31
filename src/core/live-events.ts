import type { SourcePosition } from './error.js'
import type { WatchAction } from './project.js'

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

/** What a batch means for one service. One that begins with `brought level` was found by comparing, not told by a save. */
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

/** The Events of live update. */
export type LiveEventBody =
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
