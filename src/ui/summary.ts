import { formatError } from '../core/error.js'
import { fitText, readyText, serviceRows, mainUrl } from '../core/select.js'
import type { StackState } from '../core/state.js'
import { paintFor } from './paint.js'

/** How the terminal UI ended. */
export type Outcome =
  /** The user left, or `attach` was closed; all keeps running. */
  | 'detached'
  /** The services were stopped on request. */
  | 'quit'
  /** An `up` was cancelled. */
  | 'cancelled'
  /** The user did not wait for an orderly end. */
  | 'forced'
  /** The session ended for another reason. */
  | 'ended'

/** What stays in the terminal after the UI: address, time, what keeps running. Pure. */
export function summaryLines(state: StackState, outcome: Outcome, color: boolean): readonly string[] {
  const paint = paintFor(color)
  const rows = serviceRows(state, null)
  const running = Object.values(state.services).filter((service) => Object.keys(service.instances).length > 0)
  const url = state.phase === 'ready' ? mainUrl(state) : null
  const time = state.phase === 'ready' && state.ready !== null ? readyText(state.ready) : null
  const lines = [
    ...(url === null ? [] : [paint('bold', url)]),
    ...(time === null ? [] : [paint('green', time)]),
  ]
  const failed = rows.filter((row) => row.tone === 'bad')
  const bad = failed.map((row) => paint('red', `✗ ${row.name}: ${fitText(row.text, 400)}`))
  if (failed.length > 0) bad.push(`  try: devstack logs ${failed.map((row) => row.name).join(' ')}`)
  const failure = state.failure === null ? [] : formatError(state.failure).split('\n')
  switch (outcome) {
    case 'detached':
      return [...lines, ...bad, ...failure, ...keepsRunning(running.length, state)]
    case 'quit':
      return [
        'stopped; containers and volumes are kept.',
        '`devstack up` starts again, `devstack down` removes.',
      ]
    case 'cancelled':
      return [`cancelled${running.length === 0 ? '; nothing of this run keeps running' : ''}`]
    case 'forced':
      return running.length === 0
        ? ['stopped by force']
        : ['left at once; `devstack status` tells what still runs']
    case 'ended':
      return [...bad, ...failure, 'the session has ended; `devstack status` tells what runs']
  }
}

function keepsRunning(count: number, state: StackState): readonly string[] {
  const ways = '`devstack attach` comes back, `devstack stop` stops all.'
  if (state.phase === 'comingUp') return ['still coming up.', ways]
  if (count === 0) return ['nothing runs; `devstack up` starts again.']
  return [`${String(count)} service${count === 1 ? ' keeps' : 's keep'} running.`, ways]
}
