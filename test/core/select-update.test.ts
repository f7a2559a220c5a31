import { describe, expect, test } from 'vitest'
import {
  fileIn,
  filesText,
  isOvercome,
  liveAfter,
  placeIn,
  standingFailure,
  updateLine,
} from '../../src/core/select-update.js'
import type { Freshness, UpdateRecord } from '../../src/core/state.js'

const rule = (path: string) => ({ action: 'sync', path, at: null, files: 1 }) as const

function update(more: Partial<UpdateRecord> = {}): UpdateRecord {
  return {
    batch: 1,
    service: 'api',
    noticedAt: '2026-01-01T00:00:00.002Z',
    savedAt: '2026-01-01T00:00:00.000Z',
    action: 'sync',
    files: ['/shop/api/shop/app.py'],
    reason: '',
    rules: [rule('/shop/api')],
    steps: [],
    outcome: 'running',
    failure: null,
    ...more,
  }
}

const live = (at: string) => [{ name: 'live', at, durationMs: null, detail: '' }] as const

describe('a file is told as its rule sees it', () => {
  test.each([
    ['below the rule', ['/shop/api'], 'shop/app.py'],
    ['below two rules: the closer', ['/shop/api', '/shop/api/shop/'], 'app.py'],
    ['the rule itself', ['/shop/api/shop/app.py'], 'app.py'],
    ['beside a rule of a like name', ['/shop/ap'], 'app.py'],
    ['without a rule', [], 'app.py'],
  ])('%s', (_name, paths, text) => {
    expect(fileIn({ rules: paths.map(rule) }, '/shop/api/shop/app.py')).toBe(text)
  })

  test('with its line', () => {
    const place = { file: '/shop/api/shop/app.py', line: 3, column: 7 }
    expect(placeIn(update(), place)).toBe('shop/app.py:3')
  })

  test('many are counted, and each is named once', () => {
    const files = ['/shop/api/a', '/shop/api/b', '/shop/api/c']
    expect(filesText([update({ files }), update({ files })])).toBe('a, b and 1 more')
  })
})

describe('how long a save took', () => {
  test.each([
    ['from the save', '2026-01-01T00:00:00.000Z', 31],
    ['from when it was noticed, where the file is older', '2020-01-01T00:00:00.000Z', 29],
    ['from when it was noticed, where the file is of the future', '2027-01-01T00:00:00.000Z', 29],
    ['from when it was noticed, where the file is gone', null, 29],
  ])('%s', (_name, savedAt, took) => {
    expect(liveAfter(update({ savedAt, steps: live('2026-01-01T00:00:00.031Z') }))).toBe(took)
  })

  test('is not known before it is live', () => {
    expect(liveAfter(update())).toBeNull()
  })
})

const failure = {
  step: 'reload',
  message: 'SyntaxError: invalid syntax',
  place: { file: '/shop/api/shop/x.py', line: 3, column: 1 },
  output: [],
  waitsFor: '',
} as const

describe('a failed update', () => {
  const failed = update({ outcome: 'failed', failure })
  const service = (state: Freshness['state'], waitingFor: string | null) => ({
    name: 'api',
    freshness: { state, waitingFor, since: '2026-01-01T00:00:01.000Z' },
  })
  const mends = 'a save that mends: SyntaxError: invalid syntax (/app/x.py:3)'

  test.each([
    ['stands as long as its service waits for it', 'stale', mends, true],
    ['is overcome when its service is live', 'live', null, false],
    [
      'is overcome when its service waits for something else',
      'stale',
      'a save that mends: ImportError',
      false,
    ],
  ] as const)('%s', (_name, state, waitingFor, stands) => {
    expect(standingFailure(service(state, waitingFor), [failed])).toBe(stands ? failed : null)
    expect(isOvercome(failed, service(state, waitingFor))).toBe(!stands)
  })

  test('is not known to be overcome while another save is on its way', () => {
    expect(isOvercome(failed, service('syncing', 'changed files'))).toBe(false)
  })

  test('stands although others came after it, and is the one of its own service', () => {
    const later = update({ batch: 2 })
    const other = update({ service: 'web', failure })
    expect(standingFailure(service('stale', mends), [later, other, failed])).toBe(failed)
  })

  test('is none where nothing failed', () => {
    expect(isOvercome(update(), service('live', null))).toBe(false)
    expect(standingFailure(service('stale', mends), [update()])).toBeNull()
  })
})

test('an update in one line', () => {
  expect(updateLine(update())).toBe('shop/app.py: sync')
  expect(updateLine(update({ steps: live('2026-01-01T00:00:00.031Z') }))).toBe('shop/app.py: live in 31 ms')
  expect(updateLine(update({ failure }))).toBe('shop/app.py: SyntaxError: invalid syntax, shop/x.py:3')
  expect(updateLine(update({ failure, files: [] }))).toBe('SyntaxError: invalid syntax, shop/x.py:3')
  const taken = { steps: live('2026-01-01T00:00:00.031Z'), outcome: 'live' } as const
  expect(updateLine(update({ failure, ...taken }))).toBe('shop/app.py: live in 31 ms')
})
