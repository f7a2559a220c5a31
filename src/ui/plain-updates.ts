import { formatPosition, never } from '../core/error.js'
import type { Event, LiveEventBody } from '../core/events.js'
import { deliveredText } from '../core/select.js'
import { filesText, liveAfter, standingFailure } from '../core/select-update.js'
import type { StackState, UpdateRecord } from '../core/state.js'
import { formatShort } from '../core/text.js'
import { of, type Note } from './note.js'

/** The Events of live update. */
export type LiveEvent = Extract<Event, { readonly type: LiveEventBody['type'] }>

type Of<T extends Event['type']> = Extract<Event, { readonly type: T }>

/** One save is one line, said when its code runs; what takes longer or fails says more. */
export function liveNotes(
  event: LiveEvent,
  before: StackState,
  after: StackState,
  verbose: boolean,
): readonly Note[] {
  switch (event.type) {
    case 'filesChanged':
      return []
    case 'updateDecided':
      return updateDecided(event, verbose)
    case 'delivered':
      return verbose ? [of(event.service, deliveredText(event), 'quiet')] : []
    case 'commandRan':
      return commandRan(event)
    case 'broughtBack':
      return [of(event.service, `brought back to the host: ${event.files.join(', ')}`)]
    case 'reloaded':
      return verbose ? [of(event.service, reloadedText(event), 'quiet')] : []
    case 'updateFailed':
      return updateFailed(event)
    case 'freshnessChanged':
      return freshnessChanged(event, before, after, verbose)
    case 'serverKnown':
      return serverKnown(event, before)
    case 'approvalRequested':
      return approvalRequested(event)
    case 'approvalEnded':
      return [{ service: null, text: `${event.outcome} ${event.id}: ${event.reason}`, look: 'plain' }]
    default:
      return never(event)
  }
}

/** What only delivers is told when it is live. */
function updateDecided(event: Of<'updateDecided'>, verbose: boolean): readonly Note[] {
  if (event.action === 'sync' && !verbose) return []
  const [rule] = event.rules
  const place = rule === undefined || rule.at === null ? '' : ` (${rule.at.file}:${String(rule.at.line)})`
  const files = filesText([event], 3)
  return [of(event.service, `${event.action} for ${files}${place}`)]
}

function commandRan(event: Of<'commandRan'>): readonly Note[] {
  // One that failed is told by `updateFailed`, which follows.
  if (event.exitCode !== 0) return []
  return [of(event.service, `ran ${event.argv.join(' ')} in ${formatShort(event.durationMs)}`)]
}

function reloadedText({ what, detail, durationMs }: Of<'reloaded'>): string {
  return `reloaded ${what}${detail === '' ? '' : ` (${detail})`} in ${formatShort(durationMs)}`
}

function updateFailed(event: Of<'updateFailed'>): readonly Note[] {
  const { service, place, message, output, waitsFor } = event
  return [
    of(service, `error: ${message}`, 'bad'),
    ...(place === null ? [] : [of(service, `  at ${formatPosition(place)}`, 'bad')]),
    ...output.map((line) => of(service, `  > ${line}`, 'log')),
    ...(waitsFor === '' ? [] : [of(service, `  waits for ${waitsFor}`, 'warn')]),
  ]
}

/** Only what is new: that saved code runs, or why it does not where no failed update has said it. */
function freshnessChanged(
  event: Of<'freshnessChanged'>,
  before: StackState,
  after: StackState,
  verbose: boolean,
): readonly Note[] {
  const { service, state, waitingFor } = event
  const known = before.services[service]?.freshness
  if (known === undefined) return []
  const told = state === 'live' ? liveText(service, before, after) : null
  if (told !== null) return [of(service, told, 'good')]
  const news = known.state !== state || known.waitingFor !== waitingFor
  const why = waitingFor === null ? '' : `: ${waitingFor}`
  if (state === 'live' && known.state === 'stale') return [of(service, 'live again', 'good')]
  const about = after.services[service]
  const failed = about !== undefined && standingFailure(about, after.updates) !== null
  if (state === 'stale' && news && !failed)
    return [of(service, waitingFor === null ? 'stale' : `stale, waits for ${waitingFor}`, 'bad')]
  const delivered = runningOf(before, service)
  if (state === 'unknown' && news && delivered.length > 0)
    return [of(service, `delivered ${filesText(delivered)}; whether it runs is not known${why}`, 'warn')]
  return verbose && news ? [of(service, `${state}${why}`, 'quiet')] : []
}

/** `live in 31 ms: shop/app.py`: of the oldest save that it ends, so that none is told faster than it was. */
function liveText(service: string, before: StackState, after: StackState): string | null {
  const waited = runningOf(before, service)
  const now = after.updates.filter(
    (update) =>
      update.service === service &&
      waited.some((one) => one.batch === update.batch && one.noticedAt === update.noticedAt),
  )
  const times = now.flatMap((update) => liveAfter(update) ?? [])
  return times.length === 0 ? null : `live in ${formatShort(Math.max(...times))}: ${filesText(now)}`
}

function runningOf(state: StackState, service: string): readonly UpdateRecord[] {
  return state.updates.filter((update) => update.service === service && update.outcome === 'running')
}

function serverKnown(event: Of<'serverKnown'>, before: StackState): readonly Note[] {
  const known = before.services[event.service]?.server
  if (known?.name === event.server && known.reason === event.reason) return []
  return [
    of(
      event.service,
      `answered by ${event.server}${event.reason === null ? '' : ` (${event.reason})`}`,
      'quiet',
    ),
  ]
}

function approvalRequested(event: Of<'approvalRequested'>): readonly Note[] {
  const note = (text: string, look: Note['look']): Note => ({ service: event.service, text, look })
  return [
    note(`waits for you: ${event.text}`, 'warn'),
    ...event.detail.map((line) => note(`  ${line}`, 'plain')),
    note(`  try: devstack approve ${event.id}`, 'warn'),
  ]
}
