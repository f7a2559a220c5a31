import type { Event } from './events.js'
import type { StackState, UpdateRecord, UpdateStep } from './state.js'
import { formatBytes } from './text.js'

const UPDATES_KEPT = 50

/** The Events that tell how updates go. */
export type UpdateEvent = Extract<
  Event,
  {
    type:
      | 'filesChanged'
      | 'updateDecided'
      | 'delivered'
      | 'commandRan'
      | 'reloaded'
      | 'updateFailed'
      | 'freshnessChanged'
  }
>

/** The next list of updates: what `devstack why` tells. `state` is the one before the Event. */
export function reduceUpdates(state: StackState, event: UpdateEvent): StackState['updates'] {
  const { updates } = state
  switch (event.type) {
    case 'filesChanged':
      return updates
    case 'updateDecided': {
      const { batch, service, action, files, reason, rules, at } = event
      const made: UpdateRecord = {
        batch,
        service,
        action,
        files,
        reason,
        rules,
        noticedAt: state.noticed?.batch === batch ? state.noticed.at : at,
        savedAt: state.noticed?.batch === batch ? state.noticed.savedAt : null,
        steps: [],
        outcome: 'running',
        failure: null,
      }
      return [made, ...updates].slice(0, UPDATES_KEPT)
    }
    case 'delivered': {
      const files = event.written.length + event.deleted.length
      const detail = `${String(files)} ${files === 1 ? 'file' : 'files'}, ${formatBytes(event.bytes, null)}`
      return withStep(updates, event, {
        name: 'delivered',
        at: event.at,
        durationMs: event.durationMs,
        detail,
      })
    }
    case 'commandRan': {
      const detail = `${event.argv.join(' ')}: exit code ${String(event.exitCode)}`
      return withStep(updates, event, { name: 'ran', at: event.at, durationMs: event.durationMs, detail })
    }
    case 'reloaded': {
      const detail = event.detail === '' ? event.what : `${event.what}: ${event.detail}`
      return withStep(updates, event, {
        name: 'reloaded',
        at: event.at,
        durationMs: event.durationMs,
        detail,
      })
    }
    case 'updateFailed': {
      const { step, message, place, output, waitsFor } = event
      const failure = { step, message, place, output, waitsFor }
      return change(withRecord(updates, event), event, (update) => ({
        ...update,
        outcome: 'failed',
        failure,
      }))
    }
    case 'freshnessChanged':
      if (event.state === 'unknown') return end(updates, event.service, 'unproven', [])
      if (event.state !== 'live') return updates
      return end(updates, event.service, 'live', [
        { name: 'live', at: event.at, durationMs: null, detail: '' },
      ])
  }
}

/** One proof ends every update before it. */
function end(
  updates: StackState['updates'],
  service: string,
  outcome: UpdateRecord['outcome'],
  steps: readonly UpdateStep[],
): StackState['updates'] {
  return updates.map((update) =>
    update.service === service && (update.outcome === 'running' || update.outcome === 'unproven')
      ? { ...update, outcome, steps: [...update.steps, ...steps] }
      : update,
  )
}

/** What fails without a change of files, as a server that does not start, has a record too. */
function withRecord(
  updates: StackState['updates'],
  { batch, service, at }: Extract<UpdateEvent, { type: 'updateFailed' }>,
): StackState['updates'] {
  if (updates.some((update) => update.batch === batch && update.service === service)) return updates
  const made: UpdateRecord = {
    batch,
    service,
    noticedAt: at,
    savedAt: null,
    action: 'sync',
    files: [],
    reason: 'its processes changed by themselves',
    rules: [],
    steps: [],
    outcome: 'running',
    failure: null,
  }
  return [made, ...updates].slice(0, UPDATES_KEPT)
}

interface About {
  readonly batch: number
  readonly service: string
}

function withStep(updates: StackState['updates'], about: About, step: UpdateStep): StackState['updates'] {
  return change(updates, about, (update) => ({ ...update, steps: [...update.steps, step] }))
}

/** Only the newest record of a batch: a container that is brought level again makes a new one. */
function change(
  updates: StackState['updates'],
  { batch, service }: About,
  next: (update: UpdateRecord) => UpdateRecord,
): StackState['updates'] {
  const index = updates.findIndex((update) => update.batch === batch && update.service === service)
  return updates.map((update, at) => (at === index ? next(update) : update))
}
