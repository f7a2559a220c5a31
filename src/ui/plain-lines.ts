import { formatPosition, never } from '../core/error.js'
import type { ErrorInfo } from '../core/error.js'
import type { Event } from '../core/events.js'
import { fitText, progressText, readyText, verbOf, mainUrl } from '../core/select.js'
import type { StackState } from '../core/state.js'
import { formatDuration, sanitise } from '../core/text.js'
import { of, stack, type Note } from './note.js'
import { liveNotes } from './plain-updates.js'

type Of<T extends Event['type']> = Extract<Event, { readonly type: T }>

/** What is said about an Event; nothing about most progress and about what goes without saying. Exhaustive. */
export function notesFor(
  event: Event,
  before: StackState,
  after: StackState,
  verbose: boolean,
): readonly Note[] {
  switch (event.type) {
    case 'sessionStarted':
      return verbose
        ? [stack(`session ${String(event.pid)}, devstack ${event.version}, in ${event.folder}`)]
        : []
    case 'sessionEnded':
      return [stack(`session ended: ${event.reason}`)]
    case 'warned':
      return warned(event)
    case 'failed':
      return errorNotes(null, event.error)
    case 'upStarted':
      return [stack(`bringing up ${event.services.join(', ')}`)]
    case 'projectResolved':
      return before.upSince === null
        ? [stack(`${after.project}: ${event.services.map((service) => service.name).join(', ')}`)]
        : []
    case 'planned':
      return planned(event, verbose)
    case 'operationStarted':
      return begun(event)
    case 'operationProgressed':
      return progressed(event, before)
    case 'operationSucceeded':
      return isLong(event)
        ? [about(event, `${pastOf(event)} in ${formatDuration(event.durationMs)}`, 'good')]
        : []
    case 'operationFailed':
      return operationFailed(event)
    case 'imageChosen':
      return imageChosen(event)
    case 'portAssigned':
      return portAssigned(event)
    case 'addressChecked':
      return addressChecked(event, after)
    case 'held':
      return held(event, before)
    case 'released':
      return []
    case 'stackReady':
      return ready(event, after)
    case 'stackFailed':
      return stackFailed(event)
    case 'stackStopped':
      return stackStopped(event)
    case 'instanceStarted':
      return instanceStarted(event)
    case 'instanceStopped':
      return instanceStopped(event, after)
    case 'serviceHealthChanged':
      return healthChanged(event, before, after)
    case 'logged':
      return logged(event)
    case 'filesChanged':
    case 'updateDecided':
    case 'delivered':
    case 'commandRan':
    case 'broughtBack':
    case 'reloaded':
    case 'updateFailed':
    case 'freshnessChanged':
    case 'serverKnown':
    case 'approvalRequested':
    case 'approvalEnded':
      return liveNotes(event, before, after, verbose)
    default:
      return never(event)
  }
}

function about(
  event: { readonly services: readonly string[] },
  text: string,
  look: Note['look'] = 'plain',
): Note {
  const [only, ...others] = event.services
  return { service: others.length === 0 ? (only ?? null) : null, text, look }
}

function warned(event: Of<'warned'>): readonly Note[] {
  const place = event.place === null ? '' : ` (${formatPosition(event.place)})`
  const hint = event.hint === null ? [] : [stack(`  try: ${event.hint}`, 'warn')]
  return [stack(`warning: ${event.message}${place}`, 'warn'), ...hint]
}

function errorNotes(service: string | null, error: ErrorInfo): readonly Note[] {
  const bad = (text: string): Note => ({ service, text, look: 'bad' })
  const place = error.at === null ? '' : `${formatPosition(error.at)}: `
  const problems = error.problems.flatMap((problem) => [
    bad(`  ${problem.at === null ? '' : `${formatPosition(problem.at)}: `}${problem.message}`),
    ...(problem.hint === null ? [] : [bad(`    ${problem.hint}`)]),
  ])
  const causes = error.cause === null ? [] : `${place}${error.cause}`.split('\n')
  return [
    bad(`error: ${error.message}`),
    ...problems,
    ...causes.map((line, index) => bad(index === 0 ? `  cause: ${line}` : `    ${line}`)),
    ...(error.hint === null ? [] : tryNotes(service, error.hint)),
  ]
}

function tryNotes(service: string | null, hint: string): readonly Note[] {
  return hint
    .split('\n')
    .map((line, index) => ({ service, text: index === 0 ? `  try: ${line}` : `    ${line}`, look: 'warn' }))
}

function planned(event: Of<'planned'>, verbose: boolean): readonly Note[] {
  if (!verbose) return []
  if (event.operations.length === 0) return [stack('nothing to do', 'quiet')]
  return event.operations.map((operation) => stack(`plan: ${operation.label} (${operation.cause})`, 'quiet'))
}

/** What may take long is said when it begins. */
function begun(event: Of<'operationStarted'>): readonly Note[] {
  if (isLong(event)) return [about(event, `${event.label}: ${event.cause}`)]
  if (event.kind !== 'stop') return []
  return [stack(`${verbOf(event.label)} ${event.services.join(', ')}`)]
}

type LongKind = 'pullImage' | 'buildImage' | 'buildService'

function isLong(event: { readonly kind: string }): event is { readonly kind: LongKind } {
  return event.kind === 'pullImage' || event.kind === 'buildImage' || event.kind === 'buildService'
}

function pastOf(event: { readonly kind: string; readonly operation: string }): string {
  const what = event.operation.split(' ').slice(1).join(' ')
  return `${event.kind === 'pullImage' ? 'pulled' : 'built'} ${what}`
}

/** Progress is said at each new step and at each quarter, not ten times a second. */
function progressed(event: Of<'operationProgressed'>, before: StackState): readonly Note[] {
  if (!isLong(event)) return []
  const [first = ''] = event.services
  const known = before.services[first]?.operation
  const last = known?.id === event.operation ? known.progress : null
  const { progress } = event
  const newStep = progress.step !== null && progress.step !== (last?.step ?? null)
  const newQuarter = progress.step === null && quarter(progress) > (last === null ? 0 : quarter(last))
  if (!newStep && !newQuarter) return []
  return [about(event, fitText(progressText(verbOf(event.operation), progress), 200), 'quiet')]
}

function quarter(progress: Of<'operationProgressed'>['progress']): number {
  const { percent, bytes, totalBytes } = progress
  if (percent !== null) return Math.floor(percent / 25)
  return bytes === null || totalBytes === null || totalBytes <= 0 ? 0 : Math.floor((4 * bytes) / totalBytes)
}

function operationFailed(event: Of<'operationFailed'>): readonly Note[] {
  const service = about(event, '').service
  const [headline, ...rest] = errorNotes(service, event.error)
  const output = event.output.map((line): Note => ({ service, text: `  > ${line}`, look: 'log' }))
  return headline === undefined ? output : [headline, ...output, ...rest]
}

function imageChosen(event: Of<'imageChosen'>): readonly Note[] {
  const ref = event.ref === event.wanted ? event.ref : `${event.wanted} as ${event.ref}`
  const reduced =
    event.reduced === null ? [] : [about(event, `  a reduced build, without: ${event.reduced}`, 'warn')]
  const who = event.services.length > 1 ? ` (${event.services.join(', ')})` : ''
  return [about(event, `image ${ref}: ${event.origin}, ${event.reason}${who}`), ...reduced]
}

function portAssigned(event: Of<'portAssigned'>): readonly Note[] {
  if (event.wanted === null || event.wanted === event.port) return []
  const text = `port ${String(event.port)} instead of ${String(event.wanted)}: ${event.reason}`
  return [of(event.service, text, 'warn')]
}

function addressChecked(event: Of<'addressChecked'>, after: StackState): readonly Note[] {
  const port = after.services[event.service]?.ports.find(({ target }) => target === event.target)
  const address = port === undefined ? 'its address' : `${port.hostIp}:${String(port.port)}`
  return event.failure === null
    ? [of(event.service, `${address} answers`, 'good')]
    : [of(event.service, `${address} does not answer: ${event.failure}`, 'bad')]
}

function held(event: Of<'held'>, before: StackState): readonly Note[] {
  const known = before.services[event.service]?.hold
  const text = `${event.hold.reason} ${event.hold.on.join(', ')}`.trimEnd()
  if (known != null && `${known.reason} ${known.on.join(', ')}`.trimEnd() === text) return []
  return [of(event.service, text, 'quiet')]
}

function ready(event: Of<'stackReady'>, after: StackState): readonly Note[] {
  const main = mainUrl(after)
  return [...(main === null ? [] : [stack(main, 'good')]), stack(readyText(event), 'good')]
}

function stackFailed(event: Of<'stackFailed'>): readonly Note[] {
  const time = formatDuration(event.durationMs)
  if (event.cancelled) return [stack(`cancelled after ${time}`, 'warn')]
  const failures = event.failures.map(({ service, cause }) => stack(`  ${service}: ${cause}`, 'bad'))
  const names = [...new Set(event.failures.map((failure) => failure.service))]
  const hint = names.length === 0 ? [] : tryNotes(null, `devstack logs ${names.join(' ')}`)
  return [stack(`not ready, gave up after ${time}`, 'bad'), ...failures, ...hint]
}

function stackStopped(event: Of<'stackStopped'>): readonly Note[] {
  const names = event.services.length === 0 ? 'nothing to stop' : event.services.join(', ')
  return [stack(event.services.length === 0 ? names : `${event.removed ? 'removed' : 'stopped'} ${names}`)]
}

function instanceStarted(event: Of<'instanceStarted'>): readonly Note[] {
  return [
    of(
      event.service,
      event.restarts === 0 ? 'started' : `restarted, ${String(event.restarts)} so far`,
      'quiet',
    ),
  ]
}

function instanceStopped(event: Of<'instanceStopped'>, after: StackState): readonly Note[] {
  const service = after.services[event.service]
  if (service?.phase === 'completed') return [of(event.service, `done${timeOf(service)}`, 'good')]
  // The one before it, whose place it took.
  if (event.cause === 'removed' && Object.keys(service?.instances ?? {}).length > 0) return []
  if (event.requested) return [of(event.service, 'stopped', 'quiet')]
  const again = event.willRestart ? '; it is started again' : ''
  const lines = event.lastLines.map((line) => of(event.service, `  > ${line}`, 'log'))
  const hint = event.willRestart ? [] : tryNotes(event.service, `devstack logs ${event.service}`)
  return [of(event.service, `error: ${event.cause}${again}`, 'bad'), ...lines, ...hint]
}

function timeOf(service: StackState['services'][string]): string {
  if (service.startedAt === null || service.readyAt === null) return ''
  return `, ${formatDuration(Date.parse(service.readyAt) - Date.parse(service.startedAt))}`
}

function healthChanged(
  event: Of<'serviceHealthChanged'>,
  before: StackState,
  after: StackState,
): readonly Note[] {
  const was = before.services[event.service]
  const is = after.services[event.service]
  if (is === undefined || was?.health === is.health) return []
  if (is.health === 'healthy')
    return [of(event.service, `healthy${was?.readyAt === is.readyAt ? ' again' : timeOf(is)}`, 'good')]
  if (is.health !== 'unhealthy') return []
  const output = event.output === null || event.output === '' ? '' : `: ${event.output}`
  return [of(event.service, `unhealthy${output}`, 'bad')]
}

function logged(event: Of<'logged'>): readonly Note[] {
  const lost =
    event.dropped === 0 ? [] : [of(event.service, `(${String(event.dropped)} lines dropped)`, 'warn')]
  return [...lost, ...event.lines.map((line) => of(event.service, sanitise(line.text), 'log'))]
}
