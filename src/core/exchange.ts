import type { SourcePosition } from './error.js'
import type { JsonPath } from './exchange-path.js'

// What `devstack record` writes and `devstack compare` sends: requests, and what is made of two answers to one.

/** In the order in which they are sent; a name may come twice. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

/** What a request carries. Texts may hold `${name}`; what is base64 is sent as it is. */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'form'; readonly fields: HeaderList }
  | { readonly kind: 'base64'; readonly base64: string }

/** What may differ between two answers without being a difference. */
export type Mask =
  | { readonly kind: 'json'; readonly path: JsonPath }
  | { readonly kind: 'text'; readonly pattern: RegExp }
  | { readonly kind: 'header'; readonly name: string }

/** Where in an answer a value stands that later requests to the same stack carry. */
export type KeepSource =
  | { readonly from: 'json'; readonly path: JsonPath }
  | { readonly from: 'header'; readonly header: string }
  | { readonly from: 'cookie'; readonly cookie: string }
  /** Its first group. */
  | { readonly from: 'text'; readonly pattern: RegExp }

/** A value that is kept for `${name}`. */
export interface Keep {
  readonly name: string
  readonly source: KeepSource
}

/** One request of a file. */
export interface PlannedRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: HeaderList
  readonly body: RequestBody
  readonly keep: readonly Keep[]
  readonly masks: readonly Mask[]
  /** Why it is not sent; null: it is. */
  readonly skip: string | null
  readonly at: SourcePosition
}

/** What a file of requests says. */
export interface RequestFile {
  readonly requests: readonly PlannedRequest[]
  /** Of every request. */
  readonly masks: readonly Mask[]
  /** The masks that devstack knows by itself hold too. */
  readonly defaults: boolean
}

/** A body as it was answered, decoded. */
export type AnswerBody =
  | { readonly kind: 'text'; readonly text: string }
  /** Also what is too long to be compared by its text. */
  | { readonly kind: 'binary'; readonly sha256: string; readonly bytes: number }
  /** It does not end: only what stands before it is compared. */
  | { readonly kind: 'stream' }

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: HeaderList
  readonly body: AnswerBody
}

/** What came back of one request: an answer, or why there is none. */
export type Outcome =
  { readonly answer: Answer; readonly ms: number } | { readonly failure: string; readonly ms: number }

/** A line of a text that differs: `-` only left, `+` only right, ` ` both; `number` counts from 1 in its own text. */
export interface DiffLine {
  readonly sign: '-' | '+' | ' '
  readonly number: number
  readonly text: string
}

/** One thing that is not the same on both sides. */
export interface Difference {
  readonly part: 'answer' | 'status' | 'header' | 'body'
  /** A header's name, or a JSON path; null for the whole part. */
  readonly path: string | null
  /** As it is shown: JSON values as JSON; null where it is missing. */
  readonly left: string | null
  readonly right: string | null
  /** Of texts, instead of `left` and `right`. */
  readonly lines: readonly DiffLine[]
  /** It also differs between two answers of the same side: rather volatile than different. */
  readonly unsteady: boolean
}

/** Methods that by their definition change nothing. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** True for a method that may be sent again and again. */
export function isSafe(method: string): boolean {
  return SAFE.has(method)
}

/** Values of one header, joined as HTTP allows; null where it is not there. */
export function headerOf(headers: HeaderList, name: string): string | null {
  const values = headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
  return values.length === 0 ? null : values.join(', ')
}
