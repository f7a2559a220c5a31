import type { SourcePosition } from './error.js'
import type { StateText, Tone } from './select.js'
import type { ServiceState, StackState, UpdateRecord } from './state.js'
import { formatShort, sanitise } from './text.js'

/** Whether a service runs the saved code, for a row. */
export interface FreshText {
  readonly text: StateText
  readonly tone: Tone
}

/** A file's own time is believed so far before it was noticed: a checkout or a copy may carry one of years ago. */
const CREDIBLE_MS = 10_000

/** Null where nothing is watched, where it does not run, and before anything is known. */
export function freshOf(service: ServiceState, updates: StackState['updates']): FreshText | null {
  const { freshness, summary, instances } = service
  if (!summary.watched || freshness.since === null || Object.keys(instances).length === 0) return null
  const last = lastUpdate(updates, service.name)
  const words = (head: string, detail: string | null, tail = ''): StateText => ({
    head,
    detail: sanitise(detail ?? ''),
    tail: sanitise(tail),
  })
  switch (freshness.state) {
    case 'live': {
      const took = last === null ? null : liveAfter(last)
      return { text: words(took === null ? 'live' : `live, ${formatShort(took)}`, null), tone: 'good' }
    }
    case 'pending':
    case 'syncing':
    case 'reloading':
      return { text: words(colon(freshness.state, freshness.waitingFor), freshness.waitingFor), tone: 'busy' }
    case 'stale': {
      const failed = standingFailure(service, updates)
      const failure = failed?.failure ?? null
      if (failed === null || failure === null) {
        const head = freshness.waitingFor === null ? 'stale' : 'stale, waits for'
        return { text: words(head, freshness.waitingFor), tone: 'bad' }
      }
      const place = failure.place === null ? '' : placeIn(failed, failure.place)
      return { text: words(colon('stale', failure.message), failure.message, place), tone: 'bad' }
    }
    case 'unknown':
      return { text: words(colon('unknown', freshness.waitingFor), freshness.waitingFor), tone: 'quiet' }
  }
}

function colon(word: string, detail: string | null): string {
  return detail === null || detail === '' ? word : `${word}:`
}

/**
 * The failed update that a service is stale for: the newest that says what is waited for. Null where it is not stale, or for
 * another reason: a failure is overcome by another save, without a word in its own record.
 */
export function standingFailure(
  { name, freshness }: Pick<ServiceState, 'name' | 'freshness'>,
  updates: StackState['updates'],
): UpdateRecord | null {
  return updates.find((update) => update.service === name && stands(update, freshness)) ?? null
}

/** Whether what failed does not matter any more: the saved code runs, or something else is waited for. */
export function isOvercome(update: UpdateRecord, { freshness }: Pick<ServiceState, 'freshness'>): boolean {
  if (update.failure === null) return false
  if (update.outcome === 'live' || freshness.state === 'live') return true
  return freshness.state === 'stale' && !stands(update, freshness)
}

function stands({ failure }: UpdateRecord, { state, waitingFor }: ServiceState['freshness']): boolean {
  return state === 'stale' && failure !== null && waitingFor?.includes(failure.message) === true
}

/** The newest update of a service, or null. */
export function lastUpdate(updates: StackState['updates'], service: string): UpdateRecord | null {
  return updates.find((update) => update.service === service) ?? null
}

/** When it began for the person who saved: milliseconds since the epoch, and whether that is the save itself. */
export function beginOf(update: UpdateRecord): { readonly at: number; readonly saved: boolean } {
  const noticed = Date.parse(update.noticedAt)
  const saved = update.savedAt === null ? NaN : Date.parse(update.savedAt)
  const credible = saved <= noticed && noticed - saved <= CREDIBLE_MS
  return credible ? { at: saved, saved: true } : { at: noticed, saved: false }
}

/** Milliseconds from the save to the running code; null where it is not live. */
export function liveAfter(update: UpdateRecord): number | null {
  const live = update.steps.findLast((step) => step.name === 'live')
  return live === undefined ? null : Math.max(0, Date.parse(live.at) - beginOf(update).at)
}

/** `shop/app.py`: a file as its rule sees it, which is short and still tells it from others. */
export function fileIn(update: Pick<UpdateRecord, 'rules'>, file: string): string {
  const folders = update.rules
    .map((rule) => rule.path.replace(/\/$/u, ''))
    .filter((path) => file.startsWith(`${path}/`))
    .sort((a, b) => b.length - a.length)
  const [closest] = folders
  return closest === undefined ? (file.split('/').at(-1) ?? file) : file.slice(closest.length + 1)
}

/** `shop/app.py:3`. */
export function placeIn(update: Pick<UpdateRecord, 'rules'>, place: SourcePosition): string {
  return `${fileIn(update, place.file)}:${String(place.line)}`
}

/** `shop/app.py, shop/views.py and 12 more`. */
export function filesText(updates: readonly Pick<UpdateRecord, 'rules' | 'files'>[], most = 2): string {
  const files = [...new Set(updates.flatMap((update) => update.files.map((file) => fileIn(update, file))))]
  const more = files.length > most ? ` and ${String(files.length - most)} more` : ''
  return `${files.slice(0, most).join(', ')}${more}`
}

/** An update in one line: `shop/app.py: live in 31 ms`, `requirements.txt: rebuild`, `shop/x.py: SyntaxError, shop/x.py:3`. */
export function updateLine(update: UpdateRecord): string {
  const files = filesText([update])
  // What changed by itself has none.
  return sanitise(files === '' ? outcomeOf(update) : `${files}: ${outcomeOf(update)}`)
}

function outcomeOf(update: UpdateRecord): string {
  const { failure, outcome } = update
  if (failure !== null && outcome !== 'live') {
    const place = failure.place === null ? '' : `, ${placeIn(update, failure.place)}`
    return `${failure.message}${place}`
  }
  const took = liveAfter(update)
  if (took !== null) return `live in ${formatShort(took)}`
  const last = update.steps.at(-1)
  return last === undefined ? update.action : `${last.name} ${last.detail}`.trimEnd()
}
