import { expect, test } from 'vitest'
import type { EventBody } from '../../src/core/events.js'
import { updateLog } from '../../src/ui/tui/update-log.js'
import { API_RULE, rebuilding, saved, StorySource } from './story.js'

/** What an Event after a save puts among the log lines of the terminal. */
function logged(body: EventBody): readonly string[] {
  const source = saved(new StorySource())
  const before = source.getState()
  source.emit(body)
  const [event] = source.events.slice(-1)
  const notes = event === undefined ? [] : updateLog(event, before, source.getState())
  return notes.flatMap(({ lines }) => lines.map(({ text }) => text))
}

test('a rule is told by its place as seen from the project', () => {
  const decided = rebuilding(new StorySource()).events.findLast(({ type }) => type === 'updateDecided')
  expect(decided === undefined ? [] : logged(decided)).toEqual([
    '↻ rebuild for requirements.txt (compose.yaml:55)',
  ])
})

test('a rule of a preset has no place, and one from elsewhere the whole', () => {
  const about = { type: 'updateDecided', batch: 2, service: 'api', action: 'restart', reason: '' } as const
  const files = [`${API_RULE.path}/a.py`]
  const rule = (at: (typeof API_RULE)['at']) => ({ ...API_RULE, at })
  expect(logged({ ...about, files, rules: [rule(null)] })).toEqual(['↻ restart for a.py'])
  const elsewhere = { file: '/etc/shared.yaml', line: 3, column: 1 }
  expect(logged({ ...about, files, rules: [rule(elsewhere)] })).toEqual([
    '↻ restart for a.py (/etc/shared.yaml:3)',
  ])
})

test('a failure is told by its place as seen from the project', () => {
  const place = { file: `${API_RULE.path}/shop/app.py`, line: 3, column: 7 }
  const failed = { step: 'reload', message: 'SyntaxError', place, output: [], waitsFor: '' } as const
  expect(logged({ type: 'updateFailed', batch: 1, service: 'api', ...failed })).toEqual([
    '✗ error: SyntaxError',
    '    at api/src/shop/app.py:3:7',
  ])
})
