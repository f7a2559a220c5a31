import type { Event } from './events.js'
import type { StackState, UpdateRecord, UpdateStep } from './state.js'
import { formatBytes, formatShort } from './text.js'

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
      return withStep(updates, event, { name: 'delivered', at: event.at, durationMs: event.durationMs, detail })
    }
    case 'commandRan': {
      const detail = `${event.argv.join(' ')}: exit code ${String(event.exitCode)}`
      return withStep(updates, event, { name: 'ran', at: event.at, durationMs: event.durationMs, detail })
    }
    case 'reloaded': {
      const detail = event.detail === '' ? event.what : `${event.what}: ${event.detail}`
      return withStep(updates, event, { name: 'reloaded', at: event.at, durationMs: event.durationMs, detail })
    }
    case 'updateFailed': {
      const { step, message, place, output, waitsFor } = event
      const failure = { step, message, place, output, waitsFor }
      return change(updates, event, (update) => ({ ...update, outcome: 'failed', failure }))
    }
    case 'freshnessChanged':
      if (event.state !== 'live') return updates
      // One proof ends every update before it.
      return updates.map((update) =>
        update.service === event.service && update.outcome === 'running'
          ? {
              ...update,
              outcome: 'live',
              steps: [...update.steps, { name: 'live', at: event.at, durationMs: null, detail: '' }],
            }
          : update,
      )
  }
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

/** `delivered src/App.jsx in 6 ms`, of an update's last steps: for one line. */
export function updateText(update: UpdateRecord): string {
  const names = update.files.map((file) => file.split('/').at(-1) ?? file)
  const files = names.length > 2 ? `${names.slice(0, 2).join(', ')} and ${String(names.length - 2)} more` : names.join(', ')
  if (update.failure !== null) return `${files}: ${update.failure.message}`
  const last = update.steps.at(-1)
  if (last === undefined) return `${files}: ${update.action}`
  const took = Date.parse(last.at) - Date.parse(update.noticedAt)
  return `${files}: ${last.name === 'live' ? 'live' : last.name} in ${formatShort(Math.max(0, took))}`
}
