import type { ErrorInfo } from '../../core/error.js'
import type { Event, LogLine } from '../../core/events.js'
import type { Intent } from '../../core/intents.js'
import type { InstanceUsage } from '../../orchestrator/ports.js'
import type { StackState } from '../../core/state.js'

/** Of the session's socket: NDJSON, one message a line. A client with another number is refused. */
export const PROTOCOL = 1

/** First message of the server. */
export interface Hello {
  readonly protocol: number
  readonly version: string
  /** Of its bundle: a session of another one is replaced. */
  readonly build: string
  readonly pid: number
  /** False for a session inside a short command (`down`): whoever wants to stay waits for its end and starts another. */
  readonly lasting: boolean
}

/** The whole state at an Event number; every Event after it follows. */
export interface Snapshot {
  readonly seq: number
  readonly state: StackState
  readonly tails: Readonly<Record<string, readonly LogLine[]>>
}

export type ServerMessage =
  | { readonly hello: Hello }
  | { readonly snapshot: Snapshot }
  | { readonly event: Event }
  | { readonly id: number; readonly accepted: true }
  | { readonly id: number; readonly done: true }
  | { readonly id: number; readonly usage: readonly InstanceUsage[] }
  | { readonly id: number; readonly error: ErrorInfo }

export type ClientMessage =
  /** Asks for a snapshot and for the Events after it; `fromStart`: for all Events, where the session is young enough. */
  | { readonly id: number; readonly subscribe: true; readonly fromStart?: boolean }
  /** Answered by `accepted`, then by `done` or `error`. */
  | { readonly id: number; readonly intent: Intent }
  /** CPU and memory of the running instances. */
  | { readonly id: number; readonly usage: true }
