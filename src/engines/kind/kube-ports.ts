import type { Duplex, Readable, Writable } from 'node:stream'
import type { KubeAccess } from './kube/access.js'

/** A Kubernetes object, as far as every kind has it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: KubeMetadata
  readonly [key: string]: unknown
}

export interface KubeMetadata {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[]
}

export interface KubeList<T> {
  readonly items: readonly T[]
  readonly resourceVersion: string
}

export interface ListQuery {
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** No change: it says that the stream is alive, and where to go on from. */
  | { readonly type: 'BOOKMARK'; readonly object: T }

/** A process that was started in a container over the API server, with its pipes. */
export interface KubeProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /**
   * Its first byte of output came, or it ended with an exit code. Rejects with EXEC_FAILED where it was never started (no such
   * program, ...): the API tells that only after `exec` resolved. Nobody has to look at it.
   */
  readonly started: Promise<void>
  /** How it ended; null where it was never started or the connection broke. Never rejects. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly cause: string | null }>
  /** Sets the size of its terminal; nothing where it has none. */
  resize(columns: number, rows: number): void
  /** Ends the connection; the process gets a hang-up at most. */
  close(): void
}

export interface ExecOptions {
  readonly pod: string
  readonly container: string
  readonly argv: readonly string[]
  readonly stdin: boolean
  readonly tty: boolean
}

/**
 * The API server of a cluster that was proven to be the one that we may use, in the namespace of one stack.
 * Paths are those of the API: `/api/v1/namespaces/NAME/pods/NAME`. Every method rejects with DevstackError: ENGINE_GONE where
 * the server does not answer, OPERATION_FAILED with the server's own words where it refuses; with the signal's reason when aborted.
 */
export interface Kube {
  readonly namespace: string
  /** The path of one object, or where `name` is null of all of its kind in the namespace (or cluster). Asks the server once which kinds it has; null: it does not know this kind. */
  path(
    type: { readonly apiVersion: string; readonly kind: string },
    name: string | null,
    signal: AbortSignal,
  ): Promise<string | null>
  /** Null where it is not there. */
  get<T = KubeObject>(path: string, signal: AbortSignal): Promise<T | null>
  list<T = KubeObject>(path: string, query: ListQuery, signal: AbortSignal): Promise<KubeList<T>>
  /** Server-side apply as the field manager `devstack`, forced; unknown fields are refused. `dryRun` changes nothing. */
  apply<T = KubeObject>(
    object: KubeObject,
    options: { readonly dryRun: boolean },
    signal: AbortSignal,
  ): Promise<T>
  patch<T = KubeObject>(
    path: string,
    type: 'merge' | 'strategic' | 'json',
    body: unknown,
    signal: AbortSignal,
  ): Promise<T>
  create<T = KubeObject>(path: string, body: unknown, signal: AbortSignal): Promise<T>
  /** False where it was not there. `uid`: only this very object. */
  delete(
    path: string,
    options: {
      readonly propagation: 'Background' | 'Foreground' | 'Orphan'
      readonly graceSeconds?: number
      readonly uid?: string
    },
    signal: AbortSignal,
  ): Promise<boolean>
  /**
   * What happens after `resourceVersion`, until the server ends the stream (some minutes) or it is aborted. Throws GONE
   * (DevstackError OPERATION_FAILED with code 410 in `cause`) where that version is too old: list again.
   */
  watch<T = KubeObject>(
    path: string,
    query: ListQuery & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>
  /**
   * Rejects with EXEC_FAILED where the server refuses (no such pod, ...); see {@link KubeProcess.started} for what it tells later.
   * Like the pipes of a process here, stdout and stderr must both be read (or destroyed), else it stands still.
   */
  exec(options: ExecOptions, signal: AbortSignal): Promise<KubeProcess>
  /** A connection to a port of a pod. */
  forward(pod: string, port: number, signal: AbortSignal): Promise<Duplex>
  /** The log's bytes, with the kubelet's time before each line; ends with the container where it is followed. */
  logs(
    options: {
      readonly pod: string
      readonly container: string
      readonly follow: boolean
      readonly previous: boolean
      /** RFC 3339, or null. */
      readonly sinceTime: string | null
      readonly tailLines: number | null
    },
    signal: AbortSignal,
  ): Promise<Readable>
}

/** A cluster that a stack may run in. */
export interface Cluster {
  /** Ours: its name for `kind`, `devstack`. Another's: the context that leads to it. */
  readonly name: string
  /** Names of its node containers; none where its nodes are not of this engine. */
  readonly nodes: readonly string[]
  /** How its API server is reached, for {@link createKube}: what was proven, and not what the file says later. */
  readonly access: KubeAccess
}

/** A cluster of ours. */
export interface KindCluster extends Cluster {
  /** Absolute path of our own kubeconfig, 0600. */
  readonly kubeconfig: string
}
