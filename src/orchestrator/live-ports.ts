import type { Instance, Service } from '../core/project.js'
import type { Engine, FileChange } from './ports.js'

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
