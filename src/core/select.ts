import { addressOf } from './address.js'
import type { Delivered, Progress, StackReady } from './events.js'
import { freshOf, type FreshText } from './select-update.js'
import type { ServiceState, StackState } from './state.js'
import { cells, cut, formatBytes, formatDuration, formatShort, sanitise } from './text.js'

export { mainUrl, urlOf } from './address.js'

/** What a state means, for a renderer to colour. Never the only sign: glyph and word say it too. */
export type Tone = 'good' | 'busy' | 'quiet' | 'bad' | 'warn'

/** Words of a state: `head` is never cut before `detail`, and `tail` is kept as long as it fits. */
export interface StateText {
  readonly head: string
  readonly detail: string
  readonly tail: string
}

/** One service as every renderer shows it. */
export interface ServiceRow {
  readonly name: string
  readonly glyph: string
  readonly tone: Tone
  readonly text: StateText
  /** Whether its code is live; null where nothing is watched, or nothing is known yet. */
  readonly fresh: FreshText | null
  /** Of a build or a pull, 0 to 100; null where it is not known or nothing is built. */
  readonly percent: number | null
  /** Of the last `up`: from the start of its first instance to readiness, or until now. */
  readonly elapsedMs: number | null
  /** Its elapsed time grows with the clock. */
  readonly ticking: boolean
  /** `127.0.0.1:8080`; empty where it publishes nothing or does not run. */
  readonly address: string
}

/** A service's bar on the time axis of the last `up`: milliseconds since that began. */
export interface TimelineBar {
  readonly startMs: number
  readonly endMs: number
  /** Readiness waited for it. */
  readonly critical: boolean
}

/** The services of the project in the file's order. `now`: milliseconds since the epoch; null leaves growing times out. */
export function serviceRows(state: StackState, now: number | null): readonly ServiceRow[] {
  return Object.values(state.services).map((service) => serviceRow(service, state, now))
}

/** One row of {@link serviceRows}. */
function serviceRow(service: ServiceState, state: StackState, now: number | null): ServiceRow {
  const looks = looksOf(service)
  return {
    name: service.name,
    ...looks,
    text: stateText(service, state, now),
    fresh: freshOf(service, state.updates),
    percent: service.phase === 'building' ? percentOf(service.operation?.progress ?? null) : null,
    elapsedMs: elapsedOf(service, now),
    ticking: service.phase === 'starting' && service.startedAt !== null,
    address: Object.keys(service.instances).length === 0 ? '' : addressOf(service),
  }
}

function looksOf(service: ServiceState): { readonly glyph: string; readonly tone: Tone } {
  if (service.phase === 'failed') return { glyph: '✗', tone: 'bad' }
  if (service.health === 'unhealthy') return { glyph: '!', tone: 'bad' }
  if (service.operation !== null) return { glyph: '◐', tone: 'busy' }
  switch (service.phase) {
    case 'pending':
      return { glyph: '○', tone: 'quiet' }
    case 'building':
    case 'starting':
      return { glyph: '◐', tone: 'busy' }
    case 'running':
      if (closedPort(service) !== null) return { glyph: '!', tone: 'bad' }
      return service.health === 'starting' ? { glyph: '◐', tone: 'busy' } : { glyph: '●', tone: 'good' }
    case 'completed':
      return { glyph: '✓', tone: 'good' }
    case 'stopped':
      return { glyph: '■', tone: 'quiet' }
  }
}

function stateText(service: ServiceState, state: StackState, now: number | null): StateText {
  const elapsed = elapsedOf(service, now)
  const time = elapsed === null ? '' : formatDuration(elapsed)
  if (service.phase === 'failed') return failedText(service.cause ?? 'failed')
  if (service.operation !== null)
    return operationText(service.operation, service.phase === 'starting' ? time : '')
  if (service.hold !== null) return words(service.hold.reason, service.hold.on.join(', '))
  if (service.health === 'unhealthy') return unhealthyText(withoutPrefix(service.cause ?? ''))
  switch (service.phase) {
    case 'pending':
      return words(state.phase === 'comingUp' && service.wanted ? 'pending' : 'not started')
    case 'building':
      return words('building')
    case 'starting':
      return words(`starting${restartsOf(service)}${time === '' ? '' : ` ${time}`}`)
    case 'running': {
      const closed = closedPort(service)
      if (closed !== null) return words('does not answer at its address:', closed)
      return words(service.health === 'none' ? 'running' : service.health)
    }
    case 'completed':
      return words(time === '' ? 'done' : `done, ${time}`)
    case 'stopped':
      return words('stopped')
  }
}

/** Why a port of this machine does not lead to the service; null where all do. */
export function closedPort(service: Pick<ServiceState, 'ports'>): string | null {
  return service.ports.find(({ failure }) => failure != null)?.failure ?? null
}

/** A state in at most `width` cells: what is not essential is cut first. */
export function fitText(text: StateText, width: number): string {
  const tail = text.tail === '' ? '' : `  ${text.tail}`
  const whole = text.detail === '' ? text.head : `${text.head} ${text.detail}`
  const room = width - cells(tail)
  if (tail !== '' && room > cells(text.head)) return `${cut(whole, room)}${tail}`
  return cut(whole + tail, width)
}

function words(head: string, detail = '', tail = ''): StateText {
  return { head: sanitise(head), detail: sanitise(detail), tail }
}

function failedText(cause: string): StateText {
  const said = /^(failed|exited|killed|out of memory)/u.test(cause)
  return said ? words(cause) : words('failed:', cause)
}

function unhealthyText(output: string): StateText {
  return output === '' ? words('unhealthy') : words('unhealthy:', output)
}

function withoutPrefix(cause: string): string {
  return cause.replace(/^health check fails:? ?/u, '')
}

function restartsOf(service: ServiceState): string {
  const restarts = Math.max(0, ...Object.values(service.instances).map((instance) => instance.restarts))
  return restarts === 0 ? '' : `, restart ${String(restarts)},`
}

const VERBS: Readonly<Record<string, string>> = {
  pull: 'pulling',
  build: 'building',
  create: 'creating',
  start: 'starting',
  stop: 'stopping',
  kill: 'killing',
  remove: 'removing',
}

/** `building`, from an operation's label `build api`. */
export function verbOf(label: string): string {
  const verb = label.split(' ', 1)[0] ?? ''
  return VERBS[verb] ?? label
}

function operationText(operation: NonNullable<ServiceState['operation']>, time: string): StateText {
  const verb = verbOf(operation.label)
  if (verb === 'starting') return words(time === '' ? verb : `${verb} ${time}`)
  return operation.progress === null ? words(verb) : progressText(verb, operation.progress)
}

/** `building 4/12` `RUN pip install ...` `31%`; `pulling 12.4/80 MB`. */
export function progressText(verb: string, progress: Progress): StateText {
  const percent = percentOf(progress)
  const tail = percent === null ? '' : `${String(percent)}%`
  const { step, steps, bytes, totalBytes, text } = progress
  if (step !== null)
    return words(`${verb} ${String(step)}${steps === null ? '' : `/${String(steps)}`}`, text, tail)
  if (bytes !== null) return words(`${verb} ${formatBytes(bytes, totalBytes)}`, '', tail)
  return words(verb, text === verb ? '' : text, tail)
}

function percentOf(progress: Progress | null): number | null {
  if (progress === null) return null
  const { percent, bytes, totalBytes } = progress
  if (percent !== null) return clampPercent(percent)
  if (bytes === null || totalBytes === null || totalBytes <= 0) return null
  return clampPercent((100 * bytes) / totalBytes)
}

function clampPercent(value: number): number {
  return Math.floor(Math.min(100, Math.max(0, value)))
}

function elapsedOf(service: ServiceState, now: number | null): number | null {
  if (service.startedAt === null) return null
  const start = Date.parse(service.startedAt)
  if (service.readyAt !== null) return Math.max(0, Date.parse(service.readyAt) - start)
  return service.phase === 'starting' && now !== null ? Math.max(0, now - start) : null
}

/** Bars of the services that the last `up` was about, and how long its axis is. */
export function timeline(
  state: StackState,
  now: number,
): { readonly totalMs: number; readonly bars: Readonly<Record<string, TimelineBar>> } {
  if (state.upSince === null) return { totalMs: 0, bars: {} }
  const begin = Date.parse(state.upSince)
  const path = new Set((state.ready?.criticalPath ?? []).map((part) => part.service))
  const bars: Record<string, TimelineBar> = {}
  for (const service of Object.values(state.services)) {
    const elapsedMs = elapsedOf(service, now)
    if (!service.wanted || service.startedAt === null || elapsedMs === null) continue
    const startMs = Math.max(0, Date.parse(service.startedAt) - begin)
    bars[service.name] = { startMs, endMs: startMs + elapsedMs, critical: path.has(service.name) }
  }
  const ends = Object.values(bars).map((bar) => bar.endMs)
  const totalMs = Math.max(0, ...ends, state.phase === 'comingUp' ? now - begin : 0)
  return { totalMs, bars }
}

/** `elasticsearch 5.1 -> api 2.4 -> nginx 0.6`; empty where nothing was waited for. */
export function criticalPathText(ready: Pick<StackReady, 'criticalPath'>): string {
  return ready.criticalPath
    .map((part) => `${part.service} ${(part.durationMs / 1000).toFixed(1)}`)
    .join(' -> ')
}

/** `ready in 9.2 s: elasticsearch 5.1 -> api 2.4 -> nginx 0.6`. */
export function readyText(ready: Pick<StackReady, 'criticalPath' | 'durationMs' | 'touched'>): string {
  const path = criticalPathText(ready)
  const time = `ready in ${formatDuration(ready.durationMs)}`
  if (path !== '') return `${time}: ${path}`
  return ready.touched === 0 ? `${time}: nothing to do, all was up` : time
}

/** `delivered src/App.jsx in 6 ms`. */
export function deliveredText({
  written,
  deleted,
  durationMs,
}: Pick<Delivered, 'written' | 'deleted' | 'durationMs'>): string {
  const files = [...written, ...deleted.map((file) => `${file} (deleted)`)]
  const more = files.length > 3 ? ` and ${String(files.length - 3)} more` : ''
  return `delivered ${files.slice(0, 3).join(', ')}${more} in ${formatShort(durationMs)}`
}

/** Services of the last `up` that are ready, and how many it is about. */
export function readyCount(state: StackState): { readonly ready: number; readonly of: number } {
  const wanted = Object.values(state.services).filter((service) => service.wanted)
  return { ready: wanted.filter(isReady).length, of: wanted.length }
}

function isReady(service: ServiceState): boolean {
  if (service.phase === 'completed') return true
  return service.phase === 'running' && (service.health === 'healthy' || service.health === 'none')
}

/** What the stack does now, in a few words: `coming up, 3 of 7 ready`. */
export function summaryText(state: StackState): string {
  const failed = Object.values(state.services).filter((service) => service.phase === 'failed')
  const names = failed.map((service) => service.name).join(', ')
  switch (state.phase) {
    case 'idle':
      return 'starting the session'
    case 'comingUp': {
      const { ready, of } = readyCount(state)
      return of === 0 ? 'reading the project' : `${String(ready)} of ${String(of)} ready`
    }
    case 'ready':
      if (failed.length > 0) return `${names} failed`
      return state.ready === null ? 'ready' : readyText(state.ready)
    case 'failed':
      if (state.failure !== null) return state.failure.message
      return failed.length === 0 ? 'not ready' : `${names} failed`
    case 'stopped':
      return 'stopped'
    case 'ended':
      return 'the session has ended'
  }
}
