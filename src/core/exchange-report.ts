import { isSafe, type Difference, type Outcome, type PlannedRequest } from './exchange.js'

/** What came of one request at one side. */
export interface SideResult {
  readonly outcome: Outcome
  /** Median of all times that it was sent, in milliseconds. */
  readonly ms: number
}

/** One request of a file and what came of it at both sides. */
export interface Compared {
  readonly request: PlannedRequest
  /** Null where it was not sent. */
  readonly result: {
    readonly left: SideResult
    readonly right: SideResult
    readonly differences: readonly Difference[]
  } | null
  /** Why it was not sent. */
  readonly held: { readonly reason: string; /** So it was asked. */ readonly wanted: boolean } | null
}

/** Of a whole comparison. */
export interface CompareSummary {
  readonly requests: number
  readonly same: number
  readonly different: number
  readonly notSent: number
  /** It was to be sent, but could not. */
  readonly incomplete: number
  /** Median of how many times longer the right side took; null where nothing was answered. */
  readonly ratio: number | null
}

export function summarise(compared: readonly Compared[]): CompareSummary {
  const results = compared.flatMap(({ result }) => result ?? [])
  const different = results.filter(({ differences }) => differences.length > 0).length
  const ratios = compared.map(ratioOf).filter((ratio) => ratio !== null)
  return {
    requests: compared.length,
    same: results.length - different,
    different,
    notSent: compared.length - results.length,
    incomplete: compared.filter(({ held }) => held !== null && !held.wanted).length,
    ratio: ratios.length === 0 ? null : median(ratios),
  }
}

/** How many times as long the right side took; null where one of them did not answer. */
export function ratioOf({ result }: Compared): number | null {
  if (result === null || 'failure' in result.left.outcome || 'failure' in result.right.outcome) return null
  return result.left.ms > 0 ? result.right.ms / result.left.ms : null
}

/** 0 for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}

/** Requests that change what a stack holds, and their methods. */
export function unsafeOf(requests: readonly PlannedRequest[]): {
  readonly count: number
  readonly methods: readonly string[]
} {
  const unsafe = requests.filter(({ method, skip }) => skip === null && !isSafe(method))
  return { count: unsafe.length, methods: [...new Set(unsafe.map(({ method }) => method))] }
}

/** `devstack.compare/1` of one request; its fields are a contract. */
export function comparedJson(compared: Compared): object {
  const { request, result, held } = compared
  const side = ({ outcome, ms }: SideResult): object => ({
    status: 'answer' in outcome ? outcome.answer.status : null,
    failure: 'failure' in outcome ? outcome.failure : null,
    ms: rounded(ms),
  })
  const ratio = ratioOf(compared)
  return {
    request: `${request.method} ${request.target}`,
    at: request.at,
    outcome: result === null ? 'notSent' : result.differences.length === 0 ? 'same' : 'different',
    notSent: held?.reason ?? null,
    left: result === null ? null : side(result.left),
    right: result === null ? null : side(result.right),
    ratio: ratio === null ? null : rounded(ratio),
    differences: (result?.differences ?? []).map(({ part, path, left, right, lines, unsteady }) => ({
      part,
      path,
      left,
      right,
      diff: lines.map(({ sign, text }) => `${sign}${text}`),
      unsteady,
    })),
  }
}

/** To three decimals. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
