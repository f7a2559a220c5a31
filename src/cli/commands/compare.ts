import { resolve } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { RequestFile } from '../../core/exchange.js'
import { comparedJson, rounded, summarise, unsafeOf, type Compared } from '../../core/exchange-report.js'
import { secretsOf } from '../../core/exchange-template.js'
import {
  comparedLines,
  headLine,
  layoutOf,
  summaryLine,
  type ExchangeLayout,
  type ExchangeLine,
} from '../../core/exchange-text.js'
import { lastRecording, loadRequests } from '../../host/requests/file.js'
import { replay, type ReplayOptions } from '../../host/requests/replay.js'
import { paintFor, type Paint, type Style } from '../../ui/paint.js'
import { systemClock } from '../clock.js'
import type { CommandContext } from '../commands.js'
import { parseDuration } from '../duration.js'
import { print, printError, printJson } from '../io.js'
import { nearPath } from '../near.js'
import { stackAddress, type StackAddress } from '../stack-address.js'
import { withInterrupt } from '../with-interrupt.js'

export interface CompareOptions {
  readonly service?: string
  readonly repeat: string
  readonly timeout: string
  readonly safeOnly?: boolean
  readonly json?: boolean
}

const STYLES: Readonly<Record<ExchangeLine['tone'], Style | null>> = {
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  busy: 'cyan',
  quiet: 'dim',
  plain: null,
}

/** `devstack compare`: the same requests to two stacks; exit 1 where an answer is not the same. */
export async function compare(
  context: CommandContext,
  leftName: string,
  rightName: string,
  file: string | undefined,
  options: CompareOptions,
): Promise<number> {
  const { io } = context
  const repeat = countOf(options.repeat)
  const timeoutMs = parseDuration(options.timeout)
  const service = options.service ?? null
  const [left, right] = await Promise.all([
    stackAddress(context, leftName, service),
    stackAddress(context, rightName, service),
  ])
  const path = requestsPath(context, file, left.stack ?? right.stack)
  const requests = await loadRequests(path)
  checkSecrets(requests, path, context)
  const replayed: ReplayOptions = {
    left: left.url,
    right: right.url,
    repeat,
    timeoutMs,
    safeOnly: options.safeOnly === true,
    env: io.env,
    clock: systemClock,
  }
  if (!replayed.safeOnly) warnOfChanges(context, requests)
  const compared =
    options.json === true
      ? await compareInto([], requests, replayed)
      : await compareAloud(context, requests, { left, right, path, replayed })
  const summary = summarise(compared)
  if (options.json === true)
    printJson(io, {
      schema: 'devstack.compare/1',
      file: path,
      left: { name: left.name, url: left.url },
      right: { name: right.name, url: right.url },
      repeat,
      requests: compared.map(comparedJson),
      summary: { ...summary, ratio: summary.ratio === null ? null : rounded(summary.ratio) },
    })
  if (summary.same + summary.different === 0) return 2
  return summary.different + summary.incomplete === 0 ? 0 : 1
}

async function compareInto(
  compared: Compared[],
  requests: RequestFile,
  options: ReplayOptions,
  tell: (one: Compared) => void = () => undefined,
): Promise<readonly Compared[]> {
  await withInterrupt(async (signal) => {
    for await (const one of replay(requests, options, signal)) {
      compared.push(one)
      tell(one)
    }
  })
  return compared
}

interface Aloud {
  readonly left: StackAddress
  readonly right: StackAddress
  readonly path: string
  readonly replayed: ReplayOptions
}

/** Each request in a line as soon as both have answered. */
async function compareAloud(
  { io, globals }: CommandContext,
  requests: RequestFile,
  { left, right, path, replayed }: Aloud,
): Promise<readonly Compared[]> {
  const paint = paintFor(globals.color && io.stdout.isTTY)
  const layout = layoutFor(requests, [left.name, right.name], io.stdout.columns, globals.verbose)
  const say = (line: ExchangeLine): void => print(io, painted(line, paint))
  const count = requests.requests.length
  const recorded = [left, right].some(
    ({ stack }) => stack !== null && lastRecording(stack.stateFolder) === path,
  )
  const name = recorded ? 'the last recording' : nearPath(path, io.cwd)
  const times = replayed.repeat === 1 ? '' : `, safe ones ${String(replayed.repeat)} times`
  print(io, `${layout.left} ${left.url}, ${layout.right} ${right.url}`)
  print(io, `${String(count)} ${count === 1 ? 'request' : 'requests'} of ${name}${times}`)
  print(io, '')
  say(headLine(layout))
  const compared = await compareInto([], requests, replayed, (one) => {
    for (const line of comparedLines(one, layout)) say(line)
  })
  print(io, '')
  say(summaryLine(summarise(compared), layout))
  return compared
}

function layoutFor(
  { requests }: RequestFile,
  [left, right]: readonly [string, string],
  columns: number | undefined,
  whole: boolean,
): ExchangeLayout {
  const sides = left === right ? { left: `${left} 1`, right: `${right} 2` } : { left, right }
  return layoutOf(requests, sides, Math.min(Math.max(columns ?? 80, 60), 120), whole)
}

function painted({ text, tone }: ExchangeLine, paint: Paint): string {
  const style = STYLES[tone]
  return style === null ? text : paint(style, text)
}

function requestsPath(
  { globals }: CommandContext,
  file: string | undefined,
  stack: StackAddress['stack'],
): string {
  if (file !== undefined) return resolve(globals.cwd, file)
  if (stack !== null) return lastRecording(stack.stateFolder)
  throw new DevstackError('USAGE', 'no file of requests is named', {
    hint: 'devstack compare LEFT RIGHT requests.yaml',
  })
}

/** Sent without them, both stacks would refuse alike, which proves nothing. */
function checkSecrets({ requests }: RequestFile, path: string, { io }: CommandContext): void {
  const unset = secretsOf(requests).filter((name) => io.env[name] === undefined)
  if (unset.length === 0) return
  throw new DevstackError('USAGE', `${unset.join(', ')} ${unset.length === 1 ? 'is' : 'are'} not set`, {
    cause: `${nearPath(path, io.cwd)} has them in place of secrets, which are not recorded`,
    hint: `${unset[0] ?? ''}=... devstack compare ..., or record with --include-secrets`,
  })
}

function warnOfChanges({ io }: CommandContext, { requests }: RequestFile): void {
  const { count, methods } = unsafeOf(requests)
  if (count === 0) return
  const [what, their] =
    count === 1 ? ['1 request changes', 'it'] : [`${String(count)} requests change`, 'them']
  printError(
    io,
    `warning: ${what} data (${methods.join(', ')}), in each stack its own; --safe-only leaves ${their} out`,
  )
}

function countOf(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= 1000) return value
  throw new DevstackError('USAGE', `${text} is no number of times`, { hint: '--repeat 5; 1000 are the most' })
}
