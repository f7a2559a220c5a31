import { describe, expect, test } from 'vitest'
import type { StackState } from '../../src/core/state.js'
import { whyLines, whyRow } from '../../src/ui/why.js'
import {
  API_RULE,
  begin,
  fresh,
  held,
  overcome,
  rebuilding,
  saved,
  stale,
  staleAgain,
  StorySource,
  syncing,
} from './story.js'

type Tell = (source: StorySource) => StorySource

const near = (path: string): string => path.replace('/home/dev/shop/', '')

function why(tell: Tell, service: string, most = 1): readonly string[] {
  const state: StackState = tell(new StorySource()).getState()
  const about = state.services[service]
  return about === undefined ? [] : whyLines(state, about, most, near).map(({ text }) => text)
}

describe('why', () => {
  test('a save: file, rule, action, the time of each step since the save', () => {
    expect(why(saved, 'api')).toEqual([
      'api: live (12:10:00, 31 ms after the save)',
      '  answered by devstack reloader',
      '  api/src/shop/app.py  sync  compose.yaml:52',
      '  saved 12:10:00.000 · noticed +2 ms · delivered +7 ms (1 file, 3.1 kB) · reloaded +30 ms (app: 2 workers) · live +31 ms',
    ])
  })

  test('a save that does not run: the failure with its place and output, and what is next, once', () => {
    expect(why(stale, 'api').slice(4)).toEqual([
      '  failed to reload: SyntaxError: invalid syntax, api/src/shop/app.py:3',
      '    >   File "/app/shop/app.py", line 3',
      '    >     def broken(:',
      '    >                ^',
      '  waits for: a save that mends it; the last good code goes on',
    ])
    expect(why(stale, 'api')[0]).toBe('api: stale: SyntaxError: invalid syntax  shop/app.py:3')
    expect(why(stale, 'api').filter((line) => line.includes('waits for'))).toHaveLength(1)
  })

  test('a failure that was overcome: it is told as what happened, and nothing waits for it', () => {
    const lines = why(overcome, 'api')
    expect(lines[0]).toBe('api: live (again since 12:11:00)')
    expect(lines).toContain('  failed to reload: SyntaxError: invalid syntax, api/src/shop/app.py:3')
    expect(lines.filter((line) => line.includes('waits for'))).toEqual([])
  })

  test('what is stale for another reason than the last failure says that one', () => {
    const lines = why(staleAgain, 'api')
    expect(lines[0]).toBe('api: stale, waits for a save that mends: ImportError: redis')
    expect(lines.filter((line) => line.includes('waits for'))).toHaveLength(1)
  })

  test('without the update that failed it says what is waited for itself', () => {
    expect(why(stale, 'api', 0)).toEqual([
      'api: stale: SyntaxError: invalid syntax  shop/app.py:3',
      '  answered by devstack reloader',
      '  waits for: a save that mends: SyntaxError: invalid syntax (/app/shop/app.py:3)',
    ])
  })

  test('a save that is under way: what it waits for now', () => {
    expect(why(syncing, 'api')[0]).toBe('api: reloading: its workers')
  })

  test('a rebuild: the file that asked for it, and the updates before it', () => {
    expect(why(rebuilding, 'api', 2)).toEqual([
      'api: pending: its new image',
      '  answered by devstack reloader',
      '  api/requirements.txt  rebuild  compose.yaml:55',
      '  saved 12:11:00.000 · noticed +3 ms',
      '  before, at 12:10:00:',
      '  api/src/shop/app.py  sync  compose.yaml:52',
      '  saved 12:10:00.000 · noticed +2 ms · delivered +7 ms (1 file, 3.1 kB) · reloaded +30 ms (app: 2 workers) · live +31 ms',
    ])
  })

  test('of several files, the one that asked for more than a delivery is named', () => {
    const both: Tell = (source) => {
      saved(source)
      const rebuild = { ...API_RULE, action: 'rebuild', path: '/home/dev/shop/api/Dockerfile' } as const
      return source.emit({
        type: 'updateDecided',
        batch: 1,
        service: 'api',
        action: 'rebuild',
        files: [`${API_RULE.path}/a.py`, rebuild.path],
        reason: 'found at the start',
        rules: [rebuild, API_RULE],
      })
    }
    expect(why(both, 'api').slice(2, 6)).toEqual([
      '  api/src/a.py    sync  compose.yaml:52',
      '  api/Dockerfile  rebuild  compose.yaml:52',
      '  rebuild because of api/Dockerfile',
      '  found at the start',
    ])
  })

  test('what waits for a person is said at once', () => {
    expect(why(held, 'web')[1]).toBe(
      '  waits for you: compose.yaml changed: recreate api; devstack approve plan-2',
    )
  })

  test('nothing changed, nothing watched, nothing runs', () => {
    expect(why(fresh, 'web')[0]).toBe('web: live (nothing was changed since the session began)')
    expect(why(fresh, 'redis')).toEqual(['redis: nothing of it is watched'])
    expect(why(begin, 'api')).toEqual(['api: it does not run'])
  })

  test("a file's own time is not believed where it is far from when it was noticed", () => {
    const old: Tell = (source) => {
      fresh(source)
      const files = [`${API_RULE.path}/a.py`]
      source.emit({ type: 'filesChanged', batch: 1, files, savedAt: '2019-01-01T00:00:00.000Z' }, 60_000)
      const about = { batch: 1, service: 'api' } as const
      source.emit({ type: 'updateDecided', ...about, action: 'sync', files, reason: '', rules: [API_RULE] })
      return source.emit({ type: 'freshnessChanged', ...about, state: 'live', waitingFor: null }, 60_020)
    }
    expect(why(old, 'api')[0]).toBe('api: live (12:01:00, 20 ms after it was noticed)')
    expect(why(old, 'api').at(-1)).toBe('  noticed 12:01:00.000 · live +20 ms')
  })

  test('each in a row', () => {
    const { updates } = rebuilding(new StorySource()).getState()
    expect(updates.map((update) => whyRow(update, near))).toEqual([
      ['12:11:00', 'rebuild', 'under way', 'api/requirements.txt'],
      ['12:10:00', 'sync', 'live in 31 ms', 'api/src/shop/app.py'],
    ])
    const [failed] = stale(new StorySource()).getState().updates
    expect(failed === undefined ? [] : whyRow(failed, near)[2]).toBe('failed: SyntaxError: invalid syntax')
  })
})
