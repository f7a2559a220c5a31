import {
  isSafe,
  type Answer,
  type Keep,
  type Outcome,
  type PlannedRequest,
  type RequestFile,
} from '../../core/exchange.js'
import { compareOutcomes, markUnsteady } from '../../core/exchange-compare.js'
import { createCookieJar, type CookieJar } from '../../core/exchange-cookies.js'
import { keptValue, masksOfKeep } from '../../core/exchange-keep.js'
import { withoutAddress, type KeptPair, type Masks } from '../../core/exchange-mask.js'
import { median, type Compared, type SideResult } from '../../core/exchange-report.js'
import { fill, fillJson, SECRET_PREFIX, type Lookup } from '../../core/exchange-template.js'
import type { Clock } from '../../orchestrator/ports.js'
import { createSender, type ReadyRequest, type Sender } from './send.js'

export interface ReplayOptions {
  /** Addresses of the two stacks: `http://127.0.0.1:8080`. */
  readonly left: string
  readonly right: string
  /** How often each safe request is sent; the first answers are compared, the times of all are told. */
  readonly repeat: number
  /** Do not send what may change data. */
  readonly safeOnly: boolean
  readonly timeoutMs: number
  /** Values of `${DEVSTACK_SECRET_...}`. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
}

/** What one stack has answered so far and later requests to it carry. */
interface Side {
  readonly origin: string
  readonly sender: Sender
  readonly jar: CookieJar
  readonly kept: Map<string, string | number | boolean>
}

/**
 * Sends every request to both stacks, in the file's order, and yields what came of each. Rejects with the signal's reason.
 */
export async function* replay(
  file: RequestFile,
  options: ReplayOptions,
  signal: AbortSignal,
): AsyncGenerator<Compared> {
  const sides = [options.left, options.right].map((origin): Side => ({
    origin,
    sender: createSender(origin, options.timeoutMs, options.clock),
    jar: createCookieJar(),
    kept: new Map(),
  }))
  const [left, right] = sides
  if (left === undefined || right === undefined) return
  try {
    for (const [index, request] of file.requests.entries()) {
      const held = heldBack(request, options)
      if (held !== null) yield { request, result: null, held: { reason: held, wanted: true } }
      // Who is asked first takes turns: the second may find warmer caches of the machine.
      else yield await compareOne(request, { file, options, left, right, swapped: index % 2 === 1 }, signal)
    }
  } finally {
    for (const { sender } of sides) sender.close()
  }
}

function heldBack(request: PlannedRequest, { safeOnly }: ReplayOptions): string | null {
  if (request.skip !== null) return request.skip
  return safeOnly && !isSafe(request.method) ? `--safe-only: ${request.method} may change data` : null
}

interface Turn {
  readonly file: RequestFile
  readonly options: ReplayOptions
  readonly left: Side
  readonly right: Side
  readonly swapped: boolean
}

async function compareOne(request: PlannedRequest, turn: Turn, signal: AbortSignal): Promise<Compared> {
  const { left, right, options, file } = turn
  const missing = new Set<string>()
  const ready = [left, right].map((side) => readyFor(request, side, options, missing))
  if (missing.size > 0) {
    const names = [...missing].map((name) => `\${${name}}`).join(', ')
    return {
      request,
      result: null,
      held: { reason: `no answer before this had ${names} on both sides`, wanted: false },
    }
  }
  const outcomes: [Outcome[], Outcome[]] = [[], []]
  const times = isSafe(request.method) ? options.repeat : 1
  for (let count = 0; count < times; count++)
    for (const which of turn.swapped ? ([1, 0] as const) : ([0, 1] as const)) {
      const [side, message] = [which === 0 ? left : right, ready[which]]
      if (message === undefined) continue
      const outcome = await side.sender.send(message, signal)
      outcomes[which].push(
        'answer' in outcome ? { ...outcome, answer: withoutAddress(outcome.answer, side.origin) } : outcome,
      )
      if (count === 0 && 'answer' in outcome) remember(side, request, outcome.answer, options.clock.now())
    }
  const masks: Masks = {
    rules: [...file.masks, ...request.masks, ...request.keep.flatMap(masksOfKeep)],
    defaults: file.defaults,
    kept: keptPairs(left, right),
  }
  return { request, result: resultOf(outcomes, masks), held: null }
}

function resultOf(
  [left, right]: readonly [readonly Outcome[], readonly Outcome[]],
  masks: Masks,
): Compared['result'] {
  const [one, other] = [left[0], right[0]]
  if (one === undefined || other === undefined) return null
  const differences = compareOutcomes(one, other, masks)
  const again = [left, right].flatMap(([first, second]) =>
    first === undefined || second === undefined || differences.length === 0
      ? []
      : compareOutcomes(first, second, masks),
  )
  const side = (outcomes: readonly Outcome[], outcome: Outcome): SideResult => ({
    outcome,
    ms: median(outcomes.map(({ ms }) => ms)),
  })
  return { left: side(left, one), right: side(right, other), differences: markUnsteady(differences, again) }
}

function remember(side: Side, { keep, target }: PlannedRequest, answer: Answer, now: number): void {
  const cookies = answer.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)
  side.jar.store(cookies, target, now)
  for (const one of keep) forgetOrKeep(side, one, answer)
}

function keptPairs(left: Side, right: Side): readonly KeptPair[] {
  return [...left.kept].flatMap(([name, value]) => {
    const other = right.kept.get(name)
    return other === undefined ? [] : [{ left: String(value), right: String(other) }]
  })
}

/** A value of an earlier answer is not passed off as this one's. */
function forgetOrKeep({ kept }: Side, keep: Keep, answer: Answer): void {
  const value = keptValue(keep, answer)
  if (value === undefined) kept.delete(keep.name)
  else kept.set(keep.name, value)
}

/** The request with the values of one side; names that it lacks are added to `missing`. */
function readyFor(
  request: PlannedRequest,
  side: Side,
  { env, clock }: ReplayOptions,
  missing: Set<string>,
): ReadyRequest {
  const lookup = lookupOf(side, env)
  const target = wellFormed(fill(request.target, lookup, missing, encodeURIComponent))
  const filled = request.headers.map(([name, value]): [string, string] => [
    name,
    fill(value, lookup, missing),
  ])
  const cookies = filled.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value)
  const cookie = side.jar.header(cookies.length === 0 ? null : cookies.join('; '), target, clock.now())
  const headers = filled.filter(([name]) => !/^(?:cookie|content-length)$/i.test(name))
  const { bytes, type } = bodyOf(request, lookup, missing)
  const typed = type === null || headers.some(([name]) => name.toLowerCase() === 'content-type')
  return {
    method: request.method,
    target,
    headers: [
      ...headers,
      ...(typed ? [] : [['Content-Type', type] as const]),
      ...(cookie === null ? [] : [['Cookie', cookie] as const]),
    ],
    body: bytes,
  }
}

function lookupOf({ origin, kept }: Side, env: ReplayOptions['env']): Lookup {
  const { host, port } = new URL(origin)
  const own = new Map([
    ['origin', origin],
    ['host', host],
    ['port', port === '' ? '80' : port],
  ])
  return (name) => {
    const secret = name.startsWith(SECRET_PREFIX) ? env[name] : undefined
    return kept.get(name) ?? own.get(name) ?? secret ?? null
  }
}

/** People write `/search?q=café`; on the wire it has bytes of its own. */
function wellFormed(target: string): string {
  return target.toWellFormed().replace(/[^\u0021-\u007E]+/gu, encodeURIComponent)
}

interface FilledBody {
  readonly bytes: Buffer | null
  /** What it is where the request does not say so itself. */
  readonly type: string | null
}

function bodyOf({ body }: PlannedRequest, lookup: Lookup, missing: Set<string>): FilledBody {
  switch (body.kind) {
    case 'none':
      return { bytes: null, type: null }
    case 'text':
      return { bytes: Buffer.from(fill(body.text, lookup, missing)), type: null }
    case 'json':
      return {
        bytes: Buffer.from(JSON.stringify(fillJson(body.value, lookup, missing))),
        type: 'application/json',
      }
    case 'form': {
      const fields = body.fields.map(([name, value]): [string, string] => [
        name,
        fill(value, lookup, missing),
      ])
      return {
        bytes: Buffer.from(new URLSearchParams(fields).toString()),
        type: 'application/x-www-form-urlencoded',
      }
    }
    case 'base64':
      return { bytes: Buffer.from(body.base64, 'base64'), type: null }
  }
}
