import type { SourceScan } from '../../orchestrator/ports.js'
import type { WatchedService } from './rules.js'
import type { Stamp } from './stamps.js'

/** What was hashed on the other side of the thread, and counts as told. */
export interface Noted {
  readonly path: string
  readonly stamp: Stamp | null
}

/** To the worker. Answers carry the request's id. */
export type Request =
  | { readonly type: 'watch'; readonly id: number; readonly services: readonly WatchedService[] }
  | {
      readonly type: 'scan'
      readonly id: number
      readonly service: WatchedService
      readonly paths: readonly string[] | null
    }
  | {
      readonly type: 'recheck'
      readonly id: number
      readonly service: WatchedService
      readonly noted: readonly Noted[]
    }
  /** Ends a watch, or a look that nobody waits for any more. */
  | { readonly type: 'cancel'; readonly id: number }

/** From the worker. */
export type Answer =
  /** A watch is in place. */
  | { readonly type: 'watching'; readonly id: number }
  | {
      readonly type: 'batch'
      readonly id: number
      readonly paths: readonly string[]
      readonly settled: boolean
    }
  | { readonly type: 'warning'; readonly id: number; readonly message: string; readonly hint: string }
  /** A part of a scan: a large one comes in pieces, so that reading it holds up nothing. */
  | { readonly type: 'part'; readonly id: number; readonly scan: SourceScan }
  | { readonly type: 'scanned'; readonly id: number }
  | { readonly type: 'rechecked'; readonly id: number; readonly paths: readonly string[] }
  | { readonly type: 'failed'; readonly id: number; readonly error: unknown }
