import type { ErrorInfo } from './error.js'
import type { Hold, ImageChosen, PortAssigned, Progress, ServiceSummary, StackReady } from './events.js'
import type { EngineKind, Health } from './project.js'

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
  /** The last fifty deliveries, newest first. */
  readonly changes: readonly Change[]
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
  readonly ports: readonly Omit<PortAssigned, 'type' | 'service'>[]
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
  readonly lastDelivery: Change | null
}

export interface InstanceInfo {
  readonly id: string
  readonly startedAt: string
  readonly restarts: number
  readonly health: Health
}

/** One delivery to a service. */
export interface Change {
  readonly at: string
  readonly batch: number
  readonly service: string
  readonly files: readonly string[]
  readonly action: string
  readonly durationMs: number
}

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
  changes: [],
}
