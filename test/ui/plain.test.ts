import { PassThrough } from 'node:stream'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.js'
import { reduce } from '../../src/core/reduce.js'
import { initialState } from '../../src/core/state.js'
import { linesFor, linesForState, renderPlain } from '../../src/ui/plain.js'
import {
  API_RULE,
  begin,
  brokenBuild,
  building,
  crashed,
  fresh,
  held,
  ready,
  rebuilding,
  saved,
  stale,
  staleAgain,
  starting,
  StorySource,
  syncing,
} from './story.js'

const quiet = { color: false, verbose: false }

/** What `--ui plain` prints of a story. */
function told(tell: (source: StorySource) => unknown, options = quiet): readonly string[] {
  const source = new StorySource()
  tell(source)
  let before = initialState
  return source.events.flatMap((event) => {
    const after = reduce(before, event)
    const lines = linesFor(event, before, after, options)
    before = after
    return lines
  })
}

/** What it prints of the last Event only. */
function last(tell: (source: StorySource) => StorySource): readonly string[] {
  const source = tell(new StorySource())
  const states = source.events.reduce(
    (all, event) => [...all, reduce(all.at(-1) ?? initialState, event)],
    [initialState],
  )
  const [before = initialState, after = initialState] = states.slice(-2)
  return linesFor(source.events.at(-1) as Event, before, after, quiet)
}

describe('the story of a run', () => {
  test('from nothing to ready: who waits, who is healthy, and the ending', () => {
    expect(told(ready)).toEqual([
      'devstack      | shop: nginx, api, web, postgres, elasticsearch, redis, migrate',
      'devstack      | bringing up nginx, api, web, postgres, elasticsearch, redis, migrate',
      'nginx         | waits for api, web',
      'api           | waits for elasticsearch, migrate',
      'migrate       | waits for postgres, elasticsearch',
      'redis         | started',
      'postgres      | started',
      'elasticsearch | started',
      'web           | started',
      'elasticsearch | loaded module [analysis-common]',
      'elasticsearch | initialized',
      'elasticsearch | starting ...',
      'redis         | healthy, 0.3 s',
      'postgres      | healthy, 1.9 s',
      'web           | healthy, 2.1 s',
      'migrate       | waits for elasticsearch',
      'elasticsearch | healthy, 5.1 s',
      'migrate       | started',
      'migrate       | done, 0.9 s',
      'api           | started',
      'api           | healthy, 2.1 s',
      'nginx         | started',
      'nginx         | healthy, 0.6 s',
      'devstack      | http://127.0.0.1:8080',
      'devstack      | ready in 9.2 s: elasticsearch 5.1 -> migrate 0.9 -> api 2.1 -> nginx 0.6',
    ])
  })

  test('builds and pulls: cause, steps, and how long', () => {
    expect(told(building).slice(2)).toEqual([
      'api           | build api: no image yet',
      'web           | build web: its sources changed',
      'postgres      | pull postgres:17: not here yet',
      'elasticsearch | build elasticsearch: no registry answers',
      'api           | building 4/12 RUN pip install --no-cache-dir -r requirements.txt  31%',
      'web           | building 3/6 RUN npm ci',
      'elasticsearch | building downloading org.elasticsearch:elasticsearch:8  78%',
    ])
  })

  test('a step is said once, a pull at each quarter', () => {
    const lines = told((source) => {
      building(source)
      const about = { operation: 'build web', kind: 'buildService' as const, services: ['web'] }
      const pull = { operation: 'pull postgres:17', kind: 'pullImage' as const, services: ['postgres'] }
      const none = { text: 'RUN npm ci', step: 3, steps: 6, percent: null, bytes: null, totalBytes: null }
      for (let ms = 0; ms < 1000; ms += 100) {
        source.emit({ type: 'operationProgressed', ...about, progress: none }, 5000 + ms)
        const bytes = 12_400_000 + ms * 60_000
        source.emit(
          {
            type: 'operationProgressed',
            ...pull,
            progress: { ...none, step: null, text: 'downloading', bytes, totalBytes: 80_000_000 },
          },
          5000 + ms,
        )
      }
    })
    expect(lines.slice(9)).toEqual([
      'postgres      | pulling 24.4/80 MB  30%',
      'postgres      | pulling 42.4/80 MB  53%',
      'postgres      | pulling 60.4/80 MB  75%',
    ])
  })

  test('a failed build: what, its last lines, why, what to try', () => {
    expect(told(brokenBuild).slice(9)).toEqual([
      'web           | error: web cannot be built',
      'web           |   > #9 [web 4/6] RUN npm run build',
      'web           |   > #9 1.204 src/App.jsx:12:3: ERROR: Unexpected "}"',
      'web           |   > #9 ERROR: process "/bin/sh -c npm run build" did not complete: exit code: 1',
      'web           |   cause: step 4/6 `RUN npm run build` ended with 1',
      'web           |   try: mend src/App.jsx, then: devstack rebuild web',
      'devstack      | not ready, gave up after 5.4 s',
      'devstack      |   web: step 4/6 `RUN npm run build` ended with 1',
      'devstack      |   try: devstack logs web',
    ])
  })

  test('a container that exits: cause, last lines, what to try', () => {
    expect(told(crashed).slice(-10)).toEqual([
      'api           | error: exited 1',
      'api           |   > Traceback (most recent call last):',
      'api           |   >   File "/app/wsgi.py", line 3, in <module>',
      "api           |   > ModuleNotFoundError: No module named 'shop'",
      'api           |   try: devstack logs api',
      'nginx         | cannot start: api exited 1',
      'devstack      | not ready, gave up after 6.9 s',
      'devstack      |   api: exited 1',
      'devstack      |   nginx: needs api',
      'devstack      |   try: devstack logs api nginx',
    ])
  })
})

describe('single events', () => {
  test('an image says its origin and reason, a reduced build what it lacks', () => {
    const lines = last((source) =>
      ready(source).emit({
        type: 'imageChosen',
        services: ['elasticsearch'],
        wanted: 'elasticsearch:8.15.0',
        ref: 'devstack/elasticsearch:8.15.0-1a2b',
        origin: 'built',
        reason: 'no registry answers',
        reduced: 'machine learning, SQL',
      }),
    )
    expect(lines).toEqual([
      'elasticsearch | image elasticsearch:8.15.0 as devstack/elasticsearch:8.15.0-1a2b: built, no registry answers',
      'elasticsearch |   a reduced build, without: machine learning, SQL',
    ])
  })

  test('a warning has its place and its hint', () => {
    const place = { file: 'compose.yaml', line: 12, column: 7 }
    const lines = last((source) =>
      ready(source).emit({ type: 'warned', message: 'TOKEN is not set', hint: 'set it in .env', place }),
    )
    expect(lines).toEqual([
      'devstack      | warning: TOKEN is not set (compose.yaml:12:7)',
      'devstack      |   try: set it in .env',
    ])
  })

  test('every problem of a file is told, with its place', () => {
    const at = (line: number) => ({ file: 'compose.yaml', line, column: 3 })
    const lines = last((source) =>
      begin(source).emit({
        type: 'failed',
        error: {
          code: 'CONFIG_INVALID',
          message: 'compose.yaml has 2 errors',
          cause: null,
          hint: 'devstack config',
          at: null,
          problems: [
            { message: 'unknown key prots', at: at(4), hint: 'did you mean ports?' },
            { message: 'image is empty', at: at(9), hint: null },
          ],
        },
      }),
    )
    expect(lines).toEqual([
      'devstack      | error: compose.yaml has 2 errors',
      'devstack      |   compose.yaml:4:3: unknown key prots',
      'devstack      |     did you mean ports?',
      'devstack      |   compose.yaml:9:3: image is empty',
      'devstack      |   try: devstack config',
    ])
  })

  test('a moved port, a cancelled run', () => {
    const moved = {
      type: 'portAssigned',
      service: 'nginx',
      target: 80,
      hostIp: '127.0.0.1',
      port: 8081,
      wanted: 8080,
      reason: 'taken by python (pid 7)',
    } as const
    expect(last((source) => begin(source).emit(moved))).toEqual([
      'nginx         | port 8081 instead of 8080: taken by python (pid 7)',
    ])
    const cancelled = { type: 'stackFailed', durationMs: 3210, cancelled: true, failures: [] } as const
    expect(last((source) => starting(source).emit(cancelled))).toEqual([
      'devstack      | cancelled after 3.2 s',
    ])
  })

  test('health is told when it changes, not at each check', () => {
    const sick = {
      type: 'serviceHealthChanged',
      service: 'redis',
      instance: 'redis-1',
      health: 'unhealthy',
      output: 'no PONG',
    } as const
    expect(last((source) => ready(source).emit(sick))).toEqual(['redis         | unhealthy: no PONG'])
    expect(last((source) => ready(source).emit(sick).emit(sick))).toEqual([])
    expect(last((source) => ready(source).emit(sick).healthy('redis', 20_000))).toEqual([
      'redis         | healthy again',
    ])
  })
})

describe('hostile log text', () => {
  test('moves no cursor, sets no title, colours nothing', () => {
    const lines = last((source) =>
      ready(source).log('api', [
        '\u001B[2J\u001B[31mred\u001B]0;title\u0007\r\u0008over',
        '\u009B31mC1',
        'a\nb',
      ]),
    )
    expect(lines).toEqual(['api           | red over', 'api           | C1', 'api           | a b'])
  })

  test('property: one line each, and no control character', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }), (texts) => {
        const lines = last((source) => begin(source).log('api', texts))
        expect(lines).toHaveLength(texts.length)
        // eslint-disable-next-line no-control-regex -- the point of the test
        for (const line of lines) expect(line).toMatch(/^api {11}\|[^\u0000-\u001F\u007F-\u009F]*$/u)
      }),
    )
  })

  test('what was dropped is told', () => {
    expect(last((source) => begin(source).log('api', ['x'], 500, 1204))).toEqual([
      'api           | (1204 lines dropped)',
      'api           | x',
    ])
  })
})

/** What is printed from the first save on. */
function sinceSave(tell: (source: StorySource) => StorySource, options = quiet): readonly string[] {
  const before = told(fresh, options).length
  return told(tell, options).slice(before)
}

describe('live update', () => {
  test('a save that runs is one line', () => {
    expect(sinceSave(saved)).toEqual(['api           | live in 31 ms: shop/app.py'])
  })

  test('with --verbose each step is told', () => {
    expect(sinceSave(saved, { color: false, verbose: true })).toEqual([
      'api           | sync for shop/app.py (/home/dev/shop/compose.yaml:52)',
      'api           | syncing: delivery',
      'api           | delivered /app/shop/app.py in 5 ms',
      'api           | reloading: its workers',
      'api           | reloaded app (2 workers) in 23 ms',
      'api           | live in 31 ms: shop/app.py',
    ])
  })

  test('a save that does not run is told with its place, what it printed and what is next', () => {
    expect(sinceSave(stale)).toEqual([
      'api           | error: SyntaxError: invalid syntax',
      'api           |   at /home/dev/shop/api/src/shop/app.py:3:7',
      'api           |   >   File "/app/shop/app.py", line 3',
      'api           |   >     def broken(:',
      'api           |   >                ^',
      'api           |   waits for a save that mends it; the last good code goes on',
    ])
  })

  test('what is stale without a failed save says why, and that it is over', () => {
    const about = { type: 'freshnessChanged', service: 'api', batch: 1 } as const
    const died = { ...about, state: 'stale', waitingFor: 'a save that mends: ImportError: redis' } as const
    expect(last((source) => saved(source).emit(died))).toEqual([
      'api           | stale, waits for a save that mends: ImportError: redis',
    ])
    expect(
      last((source) =>
        saved(source)
          .emit(died)
          .emit({ ...about, state: 'live', waitingFor: null }),
      ),
    ).toEqual(['api           | live again'])
  })

  test('what is stale again for another reason than a failure that was overcome says why', () => {
    expect(last(staleAgain)).toEqual([
      'api           | stale, waits for a save that mends: ImportError: redis',
    ])
  })

  test('two saves that one proof ends are told in one line, by the time of the slower', () => {
    const second = (source: StorySource): StorySource => {
      syncing(source)
      const files = [`${API_RULE.path}/shop/views.py`]
      const at = source.clock + 5
      source.emit({ type: 'filesChanged', batch: 2, files, savedAt: source.time(at) }, at + 1)
      source.emit({
        type: 'updateDecided',
        batch: 2,
        service: 'api',
        action: 'sync',
        files,
        reason: '',
        rules: [API_RULE],
      })
      const live = { state: 'live', waitingFor: null, batch: 2 } as const
      return source.emit({ type: 'freshnessChanged', service: 'api', ...live }, at + 30)
    }
    expect(last(second)).toEqual(['api           | live in 42 ms: shop/views.py, shop/app.py'])
  })

  test('where it cannot be told whether saved code runs, no more than the delivery is claimed', () => {
    const about = {
      state: 'unknown',
      waitingFor: 'its image carries no list of its files',
      batch: 1,
    } as const
    expect(
      last((source) => syncing(source).emit({ type: 'freshnessChanged', service: 'api', ...about })),
    ).toEqual([
      'api           | delivered shop/app.py; whether it runs is not known: its image carries no list of its files',
    ])
  })

  test('more than a delivery is told when it is decided, with its rule', () => {
    expect(sinceSave(rebuilding)).toEqual([
      'api           | live in 31 ms: shop/app.py',
      'api           | rebuild for requirements.txt (/home/dev/shop/compose.yaml:55)',
    ])
  })

  test('a command that ran, and one that did not: its failure follows', () => {
    const ran = {
      type: 'commandRan',
      batch: 1,
      service: 'api',
      instance: 'api-1',
      argv: ['pip', 'install', '-r', 'requirements.txt'],
      exitCode: 0,
      output: ['Successfully installed redis'],
      durationMs: 2100,
    } as const
    expect(last((source) => syncing(source).emit(ran))).toEqual([
      'api           | ran pip install -r requirements.txt in 2.1 s',
    ])
    expect(last((source) => syncing(source).emit({ ...ran, exitCode: 1 }))).toEqual([])
  })

  test('which server answers is told once', () => {
    const server = {
      type: 'serverKnown',
      service: 'api',
      server: 'uwsgi',
      reason: 'the app imports uwsgi',
    } as const
    expect(last((source) => ready(source).emit(server))).toEqual([
      'api           | answered by uwsgi (the app imports uwsgi)',
    ])
    expect(last((source) => ready(source).emit(server).emit(server))).toEqual([])
  })

  test('what waits for a person is told with what would be done and the command to type', () => {
    expect(sinceSave(held).slice(1)).toEqual([
      'devstack      | waits for you: compose.yaml changed: recreate api',
      'devstack      |   recreate api: env changed: FLASK_ENV',
      'devstack      |   start api',
      'devstack      |   try: devstack approve plan-2',
      'web           | waits for you: 214 of 230 watched files of web are gone: delete them in the container',
      'web           |   src/App.jsx',
      'web           |   and 213 more',
      'web           |   try: devstack approve delete-web',
    ])
    const ended = {
      type: 'approvalEnded',
      id: 'plan-2',
      outcome: 'withdrawn',
      reason: 'it was saved again',
    } as const
    expect(last((source) => held(source).emit(ended))).toEqual([
      'devstack      | withdrawn plan-2: it was saved again',
    ])
  })
})

describe('colour', () => {
  test('only with colour, and each line is closed', () => {
    const plain = told(ready)
    const coloured = told(ready, { color: true, verbose: false })
    // eslint-disable-next-line no-control-regex -- the point of the test
    const colours = /\u001B\[\d+m/gu
    expect(coloured.map((line) => line.replace(colours, ''))).toEqual(plain)
    for (const line of coloured) expect(line.match(colours)?.length).toBeGreaterThanOrEqual(2)
    expect(plain.join('')).not.toMatch(colours)
  })
})

describe('renderPlain', () => {
  test('joins a running stack with its rows, and tells what follows', async () => {
    const source = starting(new StorySource())
    const stdout = new PassThrough()
    const renderer = renderPlain(source, { ...quiet, stdout, now: source.now })
    source.healthy('elasticsearch', 5600)
    await renderer.close()
    source.log('api', ['after the end'])
    const lines = String(stdout.read()).split('\n')
    expect(lines).toEqual([
      ...linesForState(starting(new StorySource()).getState(), source.now() - 1100, quiet),
      'elasticsearch | healthy, 5.1 s',
      '',
    ])
    expect(lines).toContain('devstack      | 3 of 7 ready')
  })

  test('a slow reader gets every line in order; close waits for it', async () => {
    const source = begin(new StorySource())
    const stdout = new PassThrough({ highWaterMark: 64 })
    const renderer = renderPlain(source, { ...quiet, stdout, now: source.now })
    const texts = Array.from({ length: 500 }, (_, index) => `line ${String(index)}`)
    for (const text of texts) source.log('api', [text])
    let closed = false
    const closing = renderer.close().then(() => (closed = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect(closed).toBe(false)
    const chunks: string[] = []
    stdout.on('data', (chunk: Buffer) => chunks.push(String(chunk)))
    await closing
    await new Promise((resolve) => setImmediate(resolve))
    expect(
      chunks
        .join('')
        .split('\n')
        .filter((line) => line.includes('line ')),
    ).toEqual(texts.map((text) => `api           | ${text}`))
  })

  test('a reader that has gone is no error', async () => {
    const source = begin(new StorySource())
    const stdout = new PassThrough({ highWaterMark: 16 })
    const renderer = renderPlain(source, { ...quiet, stdout, now: source.now })
    source.log('api', ['a line that fills the pipe'])
    stdout.destroy(new Error('EPIPE'))
    await renderer.close()
    source.log('api', ['more'])
  })
})
