import { fitText, readyCount, serviceRows, summaryText } from '../../core/select.js'
import type { Tone } from '../../core/select.js'
import { isOvercome, updateLine } from '../../core/select-update.js'
import type { StackState, UpdateRecord } from '../../core/state.js'
import { cells, cut } from '../../core/text.js'
import type { ViewInput } from './view.js'

export interface StatusView {
  readonly text: string
  readonly tone: Tone
}

/** What waits for a person, and the keys that answer. */
export interface ApprovalView {
  readonly text: string
  readonly keys: string
}

/** The first that waits: `compose.yaml changed: recreate api  [y] apply  [v] view, 1 more`. */
export function approvalView({ state, size }: ViewInput): ApprovalView | null {
  const [first, ...others] = state.approvals
  if (first === undefined) return null
  const yes = { plan: 'apply', delete: 'delete', migration: 'run' }[first.kind]
  const more = others.length === 0 ? '' : `, ${String(others.length)} more`
  const keys = cut(`  [y] ${yes}  [v] view${more} `, size.columns)
  return { text: cut(` ? ${first.text}`, size.columns - cells(keys)), keys }
}

/** What the stack does now, or is. */
export function statusView(input: ViewInput): StatusView {
  const { text, tone } = statusText(input)
  return { text: cut(` ${text}`, input.size.columns), tone }
}

function statusText({ state, ui }: ViewInput): StatusView {
  if (ui.leaving === 'cancelling')
    return { text: 'cancelling: stops what this run started; ^C again forces', tone: 'warn' }
  if (ui.leaving === 'stopping')
    return { text: 'stopping the services; volumes are kept; ^C again forces', tone: 'warn' }
  if (ui.leaving === 'forcing')
    return { text: 'killing the services; ^C once more leaves at once', tone: 'warn' }
  const bad = troubles(state)
  if (bad.length > 0 && state.phase !== 'stopped' && state.phase !== 'ended') {
    const told = bad.join('; ')
    return { text: state.phase === 'failed' ? `not ready: ${told}` : told, tone: 'bad' }
  }
  const [newest] = state.updates
  if (state.phase === 'ready' && newest !== undefined && !isOver(newest, state))
    return {
      text: `${newest.service}: ${updateLine(newest)}`,
      tone: newest.outcome === 'live' ? 'good' : 'busy',
    }
  const tones: Readonly<Record<StackState['phase'], Tone>> = {
    idle: 'busy',
    comingUp: 'busy',
    ready: 'good',
    failed: 'bad',
    stopped: 'quiet',
    ended: 'quiet',
  }
  return { text: `${summaryText(state)}${blockerText(state)}`, tone: tones[state.phase] }
}

/** It failed, and its service runs the saved code by now: the stack is as if it had not been. */
function isOver(update: UpdateRecord, { services }: StackState): boolean {
  const service = services[update.service]
  return service !== undefined && isOvercome(update, service)
}

/** What is failed or unhealthy, and what does not run the saved code. */
function troubles(state: StackState): readonly string[] {
  return serviceRows(state, null).flatMap((row) => {
    if (row.tone === 'bad') return [`${row.name} ${fitText(row.text, 200)}`]
    return row.fresh?.tone === 'bad' ? [`${row.name} ${fitText(row.fresh.text, 200)}`] : []
  })
}

/** What everybody waits for: the services that hold others and are under way themselves. */
function blockerText(state: StackState): string {
  if (state.phase !== 'comingUp' || readyCount(state).of === 0) return ''
  const services = Object.values(state.services)
  const held = new Map<string, number>()
  for (const name of services.flatMap((service) => service.hold?.on ?? []))
    held.set(name, (held.get(name) ?? 0) + 1)
  const blockers = services.filter((service) => held.has(service.name) && service.hold === null)
  const [first] = blockers.sort((a, b) => (held.get(b.name) ?? 0) - (held.get(a.name) ?? 0))
  if (first === undefined) return ''
  return `; ${String(held.get(first.name))} wait for ${first.name}`
}
