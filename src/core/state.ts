import type { ErrorInfo } from './error.js'
import type {
  ApprovalRequested,
  FreshnessState,
  Hold,
  ImageChosen,
  PortAssigned,
  Progress,
  ServiceSummary,
  StackReady,
  UpdateFailed,
  UpdateRule,
} from './events.js'
import type { EngineKind, Health, WatchAction } from './project.js'

/** As `devstack.status/1` prints it. */
export type Phase = 'pending' | 'building' | 'starting' | 'running' | 'completed' | 'stopped' | 'failed'

/** The store's value: everything a renderer needs. Serialisable: it is what a client of the session's socket is sent. */
export interface StackState {
  /** Number of the last Event in it. */
  readonly seq: number
  readonly project: string
  readonly folder: string
  readonly engine: EngineKind
  readonly version: string
  readonly session: { readonly pid: number; readonly since: string } | null
  readonly phase: 'idle' | 'comingUp' | 'ready' | 'failed' | 'stopped' | 'ended'
  /** When the `up` that is under way, or was the last, began. */
  readonly upSince: string | null
  /** By name, in the file's order. */
  readonly services: Readonly<Record<string, ServiceState>>
  readonly ready: StackReady | null
  readonly warnings: readonly { readonly message: string; readonly hint: string | null }[]
  readonly failure: ErrorInfo | null
  /** The last fifty updates, newest first. */
  readonly updates: readonly UpdateRecord[]
  /** The last batch of changed files: an update that is decided for it begins there. */
  readonly noticed: { readonly batch: number; readonly at: string; readonly savedAt: string | null } | null
  /** What waits for a person. */
  readonly approvals: readonly Approval[]
}

export interface ServiceState {
  readonly name: string
  readonly summary: ServiceSummary
  readonly phase: Phase
  readonly health: Health
  /** True where the last `up` asked for it. */
  readonly wanted: boolean
  /** The operation that works on it. */
  readonly operation: {
    readonly id: string
    readonly label: string
    readonly progress: Progress | null
  } | null
  readonly hold: Hold | null
  readonly image: Omit<ImageChosen, 'type' | 'services'> | null
  readonly ports: readonly AssignedPort[]
  readonly instances: Readonly<Record<string, InstanceInfo>>
  /** Of the last `up`: when the first instance started, and when the service became ready. */
  readonly startedAt: string | null
  readonly readyAt: string | null
  /** Why it is failed, stopped or unhealthy; null otherwise. */
  readonly cause: string | null
  /** The last lines of a failed build or container. */
  readonly output: readonly string[]
  readonly logLines: number
  readonly logDropped: number
  readonly freshness: Freshness
  /** Which program answers, where that is known. */
  readonly server: { readonly name: string; readonly reason: string | null } | null
}

/** `failure`: why nothing gets through; null where that is not known, or something does. */
export type AssignedPort = Omit<PortAssigned, 'type' | 'service'> & { readonly failure?: string | null }

/** As `devstack.status/1` prints it, without `lastChange`, which {@link UpdateRecord} has. */
export interface Freshness {
  readonly state: FreshnessState
  /** Null where it is live. */
  readonly waitingFor: string | null
  /** When it got so; null before anything is known. */
  readonly since: string | null
}

export interface InstanceInfo {
  readonly id: string
  readonly startedAt: string
  readonly restarts: number
  readonly health: Health
}

/** One update of one service, from the save to the running code. */
export interface UpdateRecord {
  readonly batch: number
  readonly service: string
  /** When the change was noticed. */
  readonly noticedAt: string
  /** Modification time of the newest file; null where all were deleted. */
  readonly savedAt: string | null
  readonly action: WatchAction
  /** Absolute paths on the host. */
  readonly files: readonly string[]
  readonly reason: string
  readonly rules: readonly UpdateRule[]
  /** In order; each that was done once for each instance counts up. */
  readonly steps: readonly UpdateStep[]
  readonly outcome: 'running' | 'live' | 'failed' | 'unproven'
  readonly failure: Pick<UpdateFailed, 'step' | 'message' | 'place' | 'output' | 'waitsFor'> | null
}

export interface UpdateStep {
  readonly name: 'delivered' | 'ran' | 'reloaded' | 'live'
  readonly at: string
  /** Its own time, or null for `live`. */
  readonly durationMs: number | null
  /** `2 files, 3.1 kB`, `app: 2 workers`. */
  readonly detail: string
}

/** Something that waits for `devstack approve ID`. */
export type Approval = Omit<ApprovalRequested, 'type'> & { readonly since: string }

/** The state before the first Event. */
export const initialState: StackState = {
  seq: 0,
  project: '',
  folder: '',
  engine: 'compose',
  version: '',
  session: null,
  phase: 'idle',
  upSince: null,
  services: {},
  ready: null,
  warnings: [],
  failure: null,
  updates: [],
  noticed: null,
  approvals: [],
}
