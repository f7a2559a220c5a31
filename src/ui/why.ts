import { beginOf, freshOf, isOvercome, lastUpdate, standingFailure } from '../core/select-update.js'
import { fitText } from '../core/select.js'
import { isWithin } from '../core/update.js'
import type { SourcePosition } from '../core/error.js'
import type { ServiceState, StackState, UpdateRecord, UpdateStep } from '../core/state.js'
import { formatShort, sanitise } from '../core/text.js'

/** How a path of this machine is told: as seen from somewhere. */
export type Near = (path: string) => string

/** A line, and whether it is what went wrong or waits. */
export interface WhyLine {
  readonly text: string
  readonly look: 'head' | 'plain' | 'bad' | 'warn' | 'quiet'
}

const ROOM = 400

/** Why a service runs the code that it runs: its last `most` updates, newest first, and what it waits for now. */
export function whyLines(
  state: StackState,
  service: ServiceState,
  most: number,
  near: Near,
): readonly WhyLine[] {
  const updates = state.updates.filter((update) => update.service === service.name).slice(0, most)
  return [
    ...headLines(service, state, updates),
    ...state.approvals
      .filter((approval) => approval.service === null || approval.service === service.name)
      .map((approval) => line(`  waits for you: ${approval.text}; devstack approve ${approval.id}`, 'warn')),
    ...updates.flatMap((update, index) => [
      ...(index === 0 ? [] : [line(`  before, at ${dayTime(update.noticedAt)}:`, 'quiet')]),
      ...updateLines(update, isOvercome(update, service), near),
    ]),
  ]
}

/** One update in one row: when, what was asked, how it ended, which files. */
export function whyRow(update: UpdateRecord, near: Near): readonly [string, string, string, string] {
  const [first = '', ...others] = update.files
  const more = others.length === 0 ? '' : ` and ${String(others.length)} more`
  return [dayTime(update.noticedAt), update.action, outcomeText(update), sanitise(near(first) + more)]
}

function line(text: string, look: WhyLine['look'] = 'plain'): WhyLine {
  return { text: sanitise(text).trimEnd(), look }
}

/** `shown`: the updates that are told below. */
function headLines(
  service: ServiceState,
  state: StackState,
  shown: readonly UpdateRecord[],
): readonly WhyLine[] {
  const last = lastUpdate(state.updates, service.name)
  const server =
    service.server === null
      ? []
      : [line(`  answered by ${service.server.name}${reasonOf(service.server.reason)}`, 'quiet')]
  if (!service.summary.watched) return [line(`${service.name}: nothing of it is watched`, 'head'), ...server]
  if (Object.keys(service.instances).length === 0)
    return [line(`${service.name}: it does not run`, 'head'), ...server]
  const { freshness } = service
  if (freshness.state === 'live') {
    const when = last === null ? 'nothing was changed since the session began' : endedText(last, service)
    return [line(`${service.name}: live (${when})`, 'head'), ...server]
  }
  const fresh = freshOf(service, state.updates)
  const text = fresh === null ? 'not known yet' : fitText(fresh.text, ROOM)
  // The failure says it below, in its own words.
  const failed = standingFailure(service, state.updates)
  const told = failed !== null && shown.includes(failed)
  const waits =
    freshness.waitingFor === null || told || text.includes(freshness.waitingFor)
      ? []
      : [line(`  waits for: ${freshness.waitingFor}`, 'warn')]
  const look = freshness.state === 'stale' ? 'bad' : 'head'
  return [line(`${service.name}: ${text}`, look), ...server, ...waits]
}

function reasonOf(reason: string | null): string {
  return reason === null ? '' : ` (${reason})`
}

/** `12:03:04, 31 ms after the save`; `again since 12:03:04` after a failure that was overcome. */
function endedText(update: UpdateRecord, { freshness }: ServiceState): string {
  const live = update.steps.findLast((step) => step.name === 'live')
  if (live === undefined && update.failure !== null && freshness.since !== null)
    return `again since ${dayTime(freshness.since)}`
  if (live === undefined) return outcomeText(update)
  const { at, saved } = beginOf(update)
  const took = formatShort(Math.max(0, Date.parse(live.at) - at))
  return `${dayTime(live.at)}, ${took} after ${saved ? 'the save' : 'it was noticed'}`
}

function outcomeText(update: UpdateRecord): string {
  switch (update.outcome) {
    case 'live': {
      const live = update.steps.findLast((step) => step.name === 'live')
      const took = live === undefined ? 0 : Date.parse(live.at) - beginOf(update).at
      return `live in ${formatShort(Math.max(0, took))}`
    }
    case 'failed':
      return sanitise(`failed: ${update.failure?.message ?? ''}`)
    case 'unproven':
      return 'delivered, not proven'
    case 'running':
      return update.steps.at(-1)?.name ?? 'under way'
  }
}

const FILES_SHOWN = 5

function updateLines(update: UpdateRecord, overcome: boolean, near: Near): readonly WhyLine[] {
  const width = Math.max(0, ...update.files.slice(0, FILES_SHOWN).map((file) => near(file).length))
  const more = update.files.length - FILES_SHOWN
  return [
    ...update.files.slice(0, FILES_SHOWN).map((file) => fileLine(update, file, width, near)),
    ...(more > 0 ? [line(`  and ${String(more)} more`)] : []),
    ...becauseLines(update, near),
    line(`  ${stepTexts(update).join(' · ')}`),
    ...failureLines(update, overcome, near),
  ]
}

/** File, action and the place of the closest rule that covers it. */
function fileLine(update: UpdateRecord, file: string, width: number, near: Near): WhyLine {
  const covering = update.rules
    .filter((rule) => isWithin(rule.path, file))
    .sort((a, b) => b.path.length - a.path.length)
  const rule = covering[0] ?? update.rules[0]
  const place = rule === undefined ? '' : rule.at === null ? 'by its preset' : placeText(rule.at, near)
  return line(`  ${near(file).padEnd(width)}  ${rule?.action ?? update.action}  ${place}`)
}

function placeText(at: SourcePosition, near: Near): string {
  return `${near(at.file)}:${String(at.line)}`
}

/** For more than a delivery: which change asked for it. */
function becauseLines(update: UpdateRecord, near: Near): readonly WhyLine[] {
  const [rule] = update.rules
  const files = rule === undefined ? [] : update.files.filter((file) => isWithin(rule.path, file))
  const asked =
    update.action === 'sync' || update.files.length < 2 || files[0] === undefined
      ? []
      : [`${update.action} because of ${near(files[0])}`]
  const paths = [...update.files, ...update.rules.map(({ path }) => path)]
  const known = update.reason === '' || paths.some((path) => update.reason === `${update.action}: ${path}`)
  return [...asked, ...(known ? [] : [update.reason])].map((text) => line(`  ${text}`))
}

/** `saved 12:03:04.101`, `noticed +2 ms`, `delivered +7 ms (1 file, 3.1 kB)`: times since the save. */
function stepTexts(update: UpdateRecord): readonly string[] {
  const { at: begin, saved } = beginOf(update)
  const since = (at: string): string => `+${formatShort(Math.max(0, Date.parse(at) - begin))}`
  const begun = saved
    ? [`saved ${dayTime(new Date(begin).toISOString(), true)}`, `noticed ${since(update.noticedAt)}`]
    : [`noticed ${dayTime(update.noticedAt, true)}`]
  return [...begun, ...update.steps.map((step) => stepText(step, since))]
}

function stepText(step: UpdateStep, since: (at: string) => string): string {
  const own = step.durationMs === null ? '' : `, took ${formatShort(step.durationMs)}`
  const about = step.name === 'ran' ? `${step.detail}${own}` : step.detail
  return `${step.name} ${since(step.at)}${about === '' ? '' : ` (${about})`}`
}

const FAILED_STEPS: Readonly<Record<NonNullable<UpdateRecord['failure']>['step'], string>> = {
  deliver: 'deliver',
  exec: 'run its command',
  reload: 'reload',
  restart: 'restart',
  rebuild: 'rebuild',
}

function failureLines(update: UpdateRecord, overcome: boolean, near: Near): readonly WhyLine[] {
  const { failure } = update
  if (failure === null) return []
  const place = failure.place === null ? '' : `, ${placeText(failure.place, near)}`
  return [
    line(`  failed to ${FAILED_STEPS[failure.step]}: ${failure.message}${place}`, overcome ? 'quiet' : 'bad'),
    ...failure.output.map((text) => line(`    > ${text}`, 'plain')),
    ...(overcome || failure.waitsFor === '' ? [] : [line(`  waits for: ${failure.waitsFor}`, 'warn')]),
  ]
}

/** The time of day here: `12:03:04`, with `exact` its milliseconds. */
function dayTime(at: string, exact = false): string {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return at
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()]
  const text = parts.map((part) => String(part).padStart(2, '0')).join(':')
  return exact ? `${text}.${String(date.getMilliseconds()).padStart(3, '0')}` : text
}
