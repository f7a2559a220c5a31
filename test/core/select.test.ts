import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Progress } from '../../src/core/events.js'
import {
  criticalPathText,
  fitText,
  progressText,
  readyText,
  serviceRows,
  summaryText,
  timeline,
  mainUrl,
  urlOf,
} from '../../src/core/select.js'
import {
  cells,
  cut,
  formatBytes,
  formatDuration,
  formatShort,
  formatUptime,
  pad,
  sanitise,
  windowOf,
} from '../../src/core/text.js'
import { begin, brokenBuild, building, crashed, ready, starting, StorySource } from '../ui/story.js'

function rowsOf(tell: (source: StorySource) => StorySource): readonly string[] {
  const source = tell(new StorySource())
  return serviceRows(source.getState(), source.now()).map(
    (row) => `${row.glyph} ${row.name}: ${fitText(row.text, 60)}`,
  )
}

describe('rows say glyph and word', () => {
  test('while nothing has begun', () => {
    expect(new Set(rowsOf(begin).map((row) => row.split(': ')[1]))).toEqual(new Set(['pending']))
  })

  test('while images are pulled and built', () => {
    expect(rowsOf(building)).toEqual([
      '○ nginx: pending',
      '◐ api: building 4/12 RUN pip install --no-cache-dir -r requir…  31%',
      '◐ web: building 3/6 RUN npm ci',
      '◐ postgres: pulling 12.4/80 MB  15%',
      '◐ elasticsearch: building downloading org.elasticsearch:elasticsearch:8  78%',
      '○ redis: pending',
      '○ migrate: pending',
    ])
  })

  test('while services start and wait for each other', () => {
    expect(rowsOf(starting)).toEqual([
      '○ nginx: waits for api, web',
      '○ api: waits for elasticsearch, migrate',
      '● web: healthy',
      '● postgres: healthy',
      '◐ elasticsearch: starting 4.0 s',
      '● redis: healthy',
      '○ migrate: waits for elasticsearch',
    ])
  })

  test('when all is up', () => {
    expect(rowsOf(ready).slice(-2)).toEqual(['● redis: healthy', '✓ migrate: done, 0.9 s'])
  })

  test('when something failed', () => {
    expect(rowsOf(crashed).slice(0, 2)).toEqual(['○ nginx: cannot start: api exited 1', '✗ api: exited 1'])
    expect(rowsOf(brokenBuild)[2]).toBe('✗ web: failed: step 4/6 `RUN npm run build` ended with 1')
  })

  test('unhealthy carries the check’s output', () => {
    const source = ready(new StorySource())
    source.emit({
      type: 'serviceHealthChanged',
      service: 'redis',
      instance: 'redis-1',
      health: 'unhealthy',
      output: 'PONG expected',
    })
    const row = serviceRows(source.getState(), source.now()).find(({ name }) => name === 'redis')
    expect(row).toMatchObject({
      glyph: '!',
      tone: 'bad',
      text: { head: 'unhealthy:', detail: 'PONG expected' },
    })
  })

  test('a crash loop says how often, and why', () => {
    const source = starting(new StorySource())
    source.emit({
      type: 'instanceStarted',
      service: 'redis',
      instance: 'redis-1',
      startedAt: source.events[0]?.at ?? '',
      restarts: 3,
    })
    const row = serviceRows(source.getState(), null).find(({ name }) => name === 'redis')
    expect(row?.text.head).toMatch(/^starting, restart 3/u)
  })
})

describe('the whole stack', () => {
  test('ready: time and critical path', () => {
    const state = ready(new StorySource()).getState()
    expect(summaryText(state)).toBe(
      'ready in 9.2 s: elasticsearch 5.1 -> migrate 0.9 -> api 2.1 -> nginx 0.6',
    )
  })

  test('nothing to do says so', () => {
    expect(readyText({ durationMs: 212, criticalPath: [], touched: 0 })).toBe(
      'ready in 0.2 s: nothing to do, all was up',
    )
    expect(criticalPathText({ criticalPath: [] })).toBe('')
  })

  test('counts what is ready, of what was asked for', () => {
    expect(summaryText(starting(new StorySource()).getState())).toBe('3 of 7 ready')
    expect(summaryText(new StorySource().getState())).toBe('starting the session')
  })

  test('the address is that of the service nobody needs; databases have none for a browser', () => {
    const state = ready(new StorySource()).getState()
    expect(mainUrl(state)).toBe('http://127.0.0.1:8080')
    expect(urlOf(state, 'postgres')).toBeNull()
    expect(urlOf(state, 'elasticsearch')).toBe('http://127.0.0.1:9200')
    expect(urlOf(state, 'web')).toBeNull()
  })

  test('the timeline spans the run and marks the critical path', () => {
    const source = ready(new StorySource())
    const { totalMs, bars } = timeline(source.getState(), source.now())
    expect(totalMs).toBe(9230)
    expect(bars['api']).toEqual({ startMs: 6480, endMs: 8580, critical: true })
    expect(bars['redis']?.critical).toBe(false)
  })
})

describe('text', () => {
  test.each([
    [0, '0.0 s'],
    [940, '0.9 s'],
    [9230, '9.2 s'],
    [59_940, '59.9 s'],
    [59_960, '1 m 00 s'],
    [65_000, '1 m 05 s'],
    [3_720_000, '1 h 02 m'],
  ])('%i ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test.each([
    [5.6, '6 ms'],
    [999, '999 ms'],
    [1200, '1.2 s'],
  ])('short: %d ms is %s', (ms, text) => {
    expect(formatShort(ms)).toBe(text)
  })

  test.each([
    [59_000, 'under a minute'],
    [720_000, '12 m'],
    [11_040_000, '3 h 04 m'],
    [180_000_000, '2 d 02 h'],
  ])('up %i ms is %s', (ms, text) => {
    expect(formatUptime(ms)).toBe(text)
  })

  test.each([
    [0, null, '0 B'],
    [812, null, '812 B'],
    [12_400_000, 80_000_000, '12.4/80 MB'],
    [1_500, 2_500, '1.5/2.5 kB'],
    [3e12, null, '3.0 TB'],
  ])('%d of %d bytes is %s', (bytes, total, text) => {
    expect(formatBytes(bytes, total)).toBe(text)
  })

  test('control sequences, links and direction marks are taken out', () => {
    expect(sanitise('\u001B]8;;http://evil\u0007link\u001B]8;;\u0007 \u001B[2Jx\ty\u202Ez\r\nq\uD800')).toBe(
      'link x    yz q\uFFFD',
    )
  })

  test('progress: what is not known is not said', () => {
    const none: Progress = { text: '', step: null, steps: null, percent: null, bytes: null, totalBytes: null }
    expect(fitText(progressText('pulling', none), 40)).toBe('pulling')
    expect(fitText(progressText('pulling', { ...none, bytes: 1000 }), 40)).toBe('pulling 1.0 kB')
    expect(fitText(progressText('building', { ...none, step: 2, percent: 140 }), 40)).toBe('building 2  100%')
  })

  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc
      .array(
        fc.constantFrom('\u001B[31m', '\u001B]0;', '👩‍👩‍👧', '日', 'e\u0301', '\u0007', '\uD800', 'a', '\t'),
        { maxLength: 60 },
      )
      .map((parts) => parts.join('')),
  )
  const width = fc.integer({ min: 0, max: 60 })

  test('property: cut never exceeds its width and leaves no control character', () => {
    fc.assert(
      fc.property(hostile, width, (text, room) => {
        const shown = cut(text, room)
        expect(cells(shown)).toBeLessThanOrEqual(room)
        // eslint-disable-next-line no-control-regex -- the point of the test
        expect(shown).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E]/u)
      }),
    )
  })

  test('property: pad is exactly as wide as asked', () => {
    fc.assert(
      fc.property(hostile, width, (text, room) => {
        expect(cells(pad(text, room))).toBe(room)
      }),
    )
  })

  test('property: a window moved sideways never exceeds its width', () => {
    fc.assert(
      fc.property(hostile, fc.nat(100), width, (text, offset, room) => {
        expect(cells(windowOf(text, offset, room))).toBeLessThanOrEqual(room)
      }),
    )
  })
})
