import * as fc from 'fast-check'
import { renderToString } from 'ink'
import { createElement } from 'react'
import stripAnsi from 'strip-ansi'
import { describe, expect, test } from 'vitest'
import type { FreshnessState } from '../../src/core/events.js'
import type { Health, WatchAction } from '../../src/core/project.js'
import type { Phase, ServiceState, StackState, UpdateRecord, UpdateStep } from '../../src/core/state.js'
import { cells } from '../../src/core/text.js'
import { LogRing } from '../../src/ui/tui/log-ring.js'
import { Screen } from '../../src/ui/tui/screen.js'
import { Spoken, spokenView } from '../../src/ui/tui/spoken.js'
import { initialUi } from '../../src/ui/tui/ui-state.js'
import type { UiState } from '../../src/ui/tui/ui-state.js'
import { computeView } from '../../src/ui/tui/view.js'
import type { ViewInput } from '../../src/ui/tui/view.js'
import {
  API_RULE,
  begin,
  BEGIN,
  brokenBuild,
  building,
  busy,
  crashed,
  fresh,
  held,
  ready,
  rebuilding,
  saved,
  stale,
  starting,
  StorySource,
  syncing,
} from '../ui/story.js'

type Tell = (source: StorySource) => StorySource

const SIZES = [
  { columns: 40, rows: 20 },
  { columns: 80, rows: 24 },
  { columns: 160, rows: 40 },
]

function inputOf(tell: Tell, about: Partial<ViewInput> = {}): ViewInput {
  const source = tell(new StorySource())
  const ui = about.ui ?? initialUi
  const ring = new LogRing()
  const lines = source.events.flatMap((event) => (event.type === 'logged' ? [event] : []))
  for (const { service, lines: some } of lines)
    if (ui.selected === null || ui.selected === service) ring.push(some.map((line) => ({ service, line })))
  return {
    state: source.getState(),
    ui,
    size: { columns: 80, rows: 24 },
    mode: 'up',
    color: false,
    now: source.now(),
    wasReady: source.getState().phase === 'ready',
    ring,
    ...about,
  }
}

/** The frame as Ink draws it, one string a row. */
function frameOf(input: ViewInput): readonly string[] {
  const { view } = computeView(input)
  const drawn = renderToString(createElement(Screen, { view }), { columns: Math.max(1, input.size.columns) })
  return drawn === '' ? [] : stripAnsi(drawn).split('\n')
}

const warned: Tell = (source) =>
  ready(source)
    .emit({
      type: 'warned',
      message: 'TOKEN is not set; it is empty in api',
      hint: 'set it in .env',
      place: null,
    })
    .emit({ type: 'warned', message: 'elasticsearch is a reduced build', hint: null, place: null })

const taken: Tell = (source) =>
  begin(source)
    .emit({
      type: 'failed',
      error: {
        code: 'PORT_TAKEN',
        message: 'port 8080 is taken',
        cause: 'python3 (pid 812) listens on 127.0.0.1:8080',
        hint: 'stop it, or: devstack up --free-ports',
        at: { file: 'compose.yaml', line: 12, column: 9 },
        problems: [],
      },
    })
    .emit({ type: 'stackFailed', durationMs: 400, cancelled: false, failures: [] }, 520)

const sick: Tell = (source) =>
  busy(source).emit({
    type: 'serviceHealthChanged',
    service: 'redis',
    instance: 'redis-1',
    health: 'unhealthy',
    output: 'Could not connect to Redis',
  })

const reduced: Tell = (source) =>
  busy(source).emit({
    type: 'imageChosen',
    services: ['api'],
    wanted: 'api',
    ref: 'shop-api',
    origin: 'built',
    reason: 'from its sources',
    reduced: null,
  })

const on = (ui: Partial<UiState>): { readonly ui: UiState } => ({ ui: { ...initialUi, ...ui } })

/** The states that a person meets, by name. */
const FRAMES: Readonly<Record<string, readonly [Tell, Partial<ViewInput>?]>> = {
  connecting: [(source) => source],
  begun: [begin],
  building: [building],
  starting: [starting],
  ready: [ready],
  'busy-logs': [reduced, on({ selected: 'api', focus: 'logs' })],
  paused: [busy, on({ selected: 'api', focus: 'logs', paused: { top: 4, end: 28 }, offset: 8 })],
  unhealthy: [sick, on({ selected: 'redis' })],
  crashed: [crashed, on({ selected: 'api' })],
  'broken-build': [brokenBuild, on({ selected: 'web' })],
  'port-taken': [taken],
  cancelling: [starting, on({ leaving: 'cancelling' })],
  stopping: [ready, on({ leaving: 'stopping' })],
  help: [ready, on({ overlay: 'help', selected: 'api' })],
  warnings: [warned, on({ overlay: 'warnings' })],
  notice: [ready, on({ selected: 'api', notice: { text: 'restarting api', bad: false } })],
  attached: [ready, { mode: 'attach' }],
  fresh: [fresh],
  syncing: [syncing],
  live: [saved, on({ selected: 'api' })],
  stale: [stale, on({ selected: 'api' })],
  why: [saved, on({ selected: 'api', pane: 'why' })],
  'why-stale': [stale, on({ selected: 'api', pane: 'why' })],
  rebuilding: [rebuilding, on({ selected: 'api', pane: 'why' })],
  held: [held],
  'held-view': [held, on({ overlay: 'approvals' })],
}

describe.each(SIZES)('$columns columns', (size) => {
  test.each(Object.keys(FRAMES))('%s', async (name) => {
    const [tell, about] = FRAMES[name] ?? [begin]
    const frame = frameOf(inputOf(tell, { ...about, size }))
    expect(frame).toHaveLength(size.rows - 1)
    const text = `${frame.map((row) => row.trimEnd()).join('\n')}\n`
    await expect(text).toMatchFileSnapshot(`${name}-${String(size.columns)}.txt`)
  })
})

test('a screen reader is told sentences', async () => {
  const input = inputOf(starting)
  const { view } = computeView(input)
  const spoken = spokenView(input.state, view, null)
  const drawn = renderToString(createElement(Spoken, { view: spoken }), { columns: 80 })
  await expect(`${drawn}\n`).toMatchFileSnapshot('spoken.txt')
})

test('a screen reader is not told what only the clock or a percent changes', () => {
  const source = building(new StorySource())
  const before = spokenOf(source, 0)
  const progress = {
    text: 'RUN npm run build',
    step: 4,
    steps: 6,
    percent: 60,
    bytes: null,
    totalBytes: null,
  }
  source.emit({
    type: 'operationProgressed',
    operation: 'build web',
    kind: 'buildService',
    services: ['web'],
    progress,
  })
  expect(spokenOf(source, 9000)).toEqual(before)
})

function spokenOf(source: StorySource, later: number): readonly string[] {
  const state = source.getState()
  const { view } = computeView({ ...inputOf((story) => story), state, now: source.now() + later })
  return spokenView(state, view, null).lines
}

test('a screen reader is told whether saved code runs, not how long it took, and what waits for a person', () => {
  const source = held(new StorySource())
  expect(spokenOf(source, 0)).toContain('api: healthy, live')
  expect(spokenOf(source, 0)).toContain('waits for you: compose.yaml changed: recreate api; y is yes')
  expect(spokenOf(stale(new StorySource()), 0)).toContain(
    'api: healthy, stale: SyntaxError: invalid syntax shop/app.py:3',
  )
  expect(spokenOf(syncing(new StorySource()), 0)).toContain('api: healthy')
})

test('colour never is the only sign: without it every state has its own glyph or word', () => {
  const frame = frameOf(inputOf(crashed))
  expect(frame.find((row) => /. api /u.test(row) && row.includes('✗'))).toContain('exited 1')
  expect(frame.find((row) => row.includes('● redis'))).toContain('healthy')
})

// ---- no frame exceeds its size ---------------------------------------------------------------------------------------

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 120 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom(
    'RUN pip install -r requirements.txt',
    '日本語のログ'.repeat(20),
    '👩‍👩‍👧 👍🏽 🇩🇪',
    '\u001B[31m\u001B[2J',
    'x'.repeat(2000),
    '',
  ),
)
const name = fc.oneof(
  fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{0,40}$/u),
  fc.constantFrom('a', 'elasticsearch', 'x'.repeat(63)),
)
const phase = fc.constantFrom<Phase>(
  'pending',
  'building',
  'starting',
  'running',
  'completed',
  'stopped',
  'failed',
)
const health = fc.constantFrom<Health>('healthy', 'unhealthy', 'starting', 'none')
const moment = fc.option(fc.integer({ min: 0, max: 500_000 }).map((ms) => new Date(BEGIN + ms).toISOString()))
const amount = fc.option(fc.integer({ min: 0, max: 2_000_000_000 }))
const progress = fc.record({
  text,
  step: fc.option(fc.nat(99)),
  steps: fc.option(fc.nat(99)),
  percent: fc.option(fc.double({ min: -5, max: 105, noNaN: true })),
  bytes: amount,
  totalBytes: amount,
})
const operation = fc.record({
  id: text,
  label: fc.oneof(text, fc.constantFrom('build x', 'pull y', 'stop z')),
  progress: fc.option(progress),
})
const port = fc.record({
  target: fc.nat(65_535),
  hostIp: fc.constantFrom('127.0.0.1', '::', '0.0.0.0', ''),
  port: fc.nat(65_535),
  wanted: fc.option(fc.nat(65_535)),
  reason: text,
})

const service = fc.record({
  phase,
  health,
  wanted: fc.boolean(),
  operation: fc.option(operation),
  hold: fc.option(fc.record({ reason: text, on: fc.array(name, { maxLength: 5 }) })),
  ports: fc.array(port, { maxLength: 3 }),
  startedAt: moment,
  readyAt: moment,
  cause: fc.option(text),
  output: fc.array(text, { maxLength: 4 }),
  logDropped: fc.nat(100_000),
  freshness: fc.record({
    state: fc.constantFrom<FreshnessState>('live', 'pending', 'syncing', 'reloading', 'stale', 'unknown'),
    waitingFor: fc.option(text),
    since: moment,
  }),
  instances: fc.constantFrom({}, { x: { id: 'x', startedAt: '', restarts: 0, health: 'none' as const } }),
})

const update = fc.record({
  batch: fc.nat(99),
  service: name,
  noticedAt: fc.constant(new Date(BEGIN).toISOString()),
  savedAt: moment,
  action: fc.constantFrom<WatchAction>('sync', 'sync+restart', 'sync+exec', 'restart', 'rebuild'),
  files: fc.array(text, { maxLength: 8 }),
  reason: text,
  rules: fc.constant([API_RULE]),
  steps: fc.array(
    fc.record({
      name: fc.constantFrom<UpdateStep['name']>('delivered', 'ran', 'reloaded', 'live'),
      at: fc.constant(new Date(BEGIN + 31).toISOString()),
      durationMs: fc.option(fc.nat(90_000)),
      detail: text,
    }),
    { maxLength: 4 },
  ),
  outcome: fc.constantFrom<UpdateRecord['outcome']>('running', 'live', 'failed'),
  failure: fc.option(
    fc.record({
      step: fc.constant('reload' as const),
      message: text,
      place: fc.option(fc.record({ file: text, line: fc.nat(999), column: fc.nat(99) })),
      output: fc.array(text, { maxLength: 4 }),
      waitsFor: text,
    }),
  ),
})

const approval = fc.record({
  id: text,
  kind: fc.constantFrom('plan' as const, 'delete' as const, 'migration' as const),
  service: fc.option(name),
  text,
  detail: fc.array(text, { maxLength: 4 }),
  since: fc.constant(''),
})

const stack: fc.Arbitrary<StackState> = fc
  .record({
    project: fc.oneof(name, text),
    phase: fc.constantFrom<StackState['phase']>('idle', 'comingUp', 'ready', 'failed', 'stopped', 'ended'),
    upSince: moment,
    services: fc.dictionary(name, service, { maxKeys: 30 }),
    warnings: fc.array(fc.record({ message: text, hint: fc.option(text) }), { maxLength: 4 }),
    failure: fc.option(
      fc.record({
        code: fc.constant('TIMEOUT' as const),
        message: text,
        cause: fc.option(text),
        hint: fc.option(text),
        at: fc.constant(null),
        problems: fc.constant([]),
      }),
    ),
    updates: fc.array(update, { maxLength: 4 }),
    approvals: fc.array(approval, { maxLength: 3 }),
    path: fc.array(fc.record({ service: name, durationMs: fc.nat(90_000) }), { maxLength: 6 }),
  })
  .map(({ services, path, ...about }) => {
    const known = new StorySource().getState()
    // Half of the updates are of a service that is there.
    const names = Object.keys(services)
    const updates = about.updates.map((one, index) => ({ ...one, service: names[index] ?? one.service }))
    const full = Object.entries(services).map(([key, some]): [string, ServiceState] => [
      key,
      serviceOf(key, some),
    ])
    const wasReady = {
      type: 'stackReady' as const,
      durationMs: 9000,
      criticalPath: path,
      urls: [],
      touched: path.length,
    }
    return {
      ...known,
      ...about,
      updates,
      services: Object.fromEntries(full),
      ready: about.phase === 'ready' ? wasReady : null,
    }
  })

type Some = Pick<
  ServiceState,
  | 'phase'
  | 'health'
  | 'wanted'
  | 'operation'
  | 'hold'
  | 'ports'
  | 'startedAt'
  | 'readyAt'
  | 'cause'
  | 'output'
  | 'logDropped'
  | 'freshness'
  | 'instances'
>

function serviceOf(key: string, some: Some): ServiceState {
  const summary = {
    name: key,
    oneShot: false,
    hasHealthCheck: true,
    dependsOn: [],
    ports: [],
    built: true,
    watched: true,
  }
  return { name: key, summary, image: null, logLines: 0, server: null, ...some }
}

test('property: no frame exceeds its size, whatever the state and the terminal', () => {
  const size = fc.record({ columns: fc.integer({ min: 1, max: 220 }), rows: fc.integer({ min: 1, max: 60 }) })
  const ui = fc.record({
    focus: fc.constantFrom<UiState['focus']>('services', 'logs'),
    overlay: fc.constantFrom<UiState['overlay']>(null, null, 'help', 'warnings', 'approvals'),
    pane: fc.constantFrom<UiState['pane']>('logs', 'why'),
    offset: fc.nat(300),
    leaving: fc.constantFrom<UiState['leaving']>(null, 'cancelling', 'stopping', 'forcing'),
    notice: fc.option(fc.record({ text, bad: fc.boolean() })),
    index: fc.nat(40),
    top: fc.option(fc.nat(50)),
  })
  fc.assert(
    fc.property(
      stack,
      ui,
      size,
      fc.array(text, { maxLength: 60 }),
      (state, { index, top, ...some }, terminal, lines) => {
        const names = Object.keys(state.services)
        const selected = names[index] ?? null
        const ring = new LogRing()
        ring.push(
          lines.map((line) => ({
            service: names[0] ?? 'a',
            line: { at: state.upSince ?? '', stream: 'stdout', text: line },
          })),
        )
        const paused = top === null ? null : { top, end: ring.end }
        const frame = frameOf({
          state,
          ui: { ...initialUi, ...some, selected, paused },
          size: terminal,
          mode: 'up',
          color: true,
          now: BEGIN + 600_000,
          wasReady: false,
          ring,
        })
        expect(frame.length).toBeLessThanOrEqual(Math.max(0, terminal.rows - 1))
        for (const row of frame) expect(cells(row)).toBeLessThanOrEqual(terminal.columns)
      },
    ),
    { numRuns: 150 },
  )
})
