import type { Event, EventBody, LogLine, ServiceSummary, UpdateRule } from '../../src/core/events.js'
import type { Intent } from '../../src/core/intents.js'
import type { WatchAction } from '../../src/core/project.js'
import { reduce } from '../../src/core/reduce.js'
import { initialState } from '../../src/core/state.js'
import type { StackState } from '../../src/core/state.js'
import type { Source } from '../../src/ui/source.js'

/** When every story begins: noon wherever the test runs, so that frames show the same time of day everywhere. */
export const BEGIN = new Date(2026, 2, 1, 12, 0, 0).getTime()

function at(ms: number): string {
  return new Date(BEGIN + ms).toISOString()
}

/** A source that a test writes: Events in, Intents out. */
export class StorySource implements Source {
  private state: StackState = initialState
  private readonly listeners = new Set<(event: Event | null, state: StackState) => void>()
  readonly tails: Record<string, LogLine[]> = {}
  readonly events: Event[] = []
  readonly sent: Intent[] = []
  /** Milliseconds since the story began. */
  clock = 0
  onSend: (intent: Intent) => Promise<void> = async () => undefined

  /** Real time for what runs in a terminal, the story's own for frames. */
  constructor(readonly time: (clock: number) => string = at) {}

  readonly now = (): number => Date.parse(this.time(this.clock))

  getState(): StackState {
    return this.state
  }

  subscribe(listener: (event: Event | null, state: StackState) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  async send(intent: Intent): Promise<void> {
    this.sent.push(intent)
    await this.onSend(intent)
  }

  /** `body` happens `ms` after the story began, or at its clock. */
  emit(body: EventBody, ms = this.clock): this {
    this.clock = ms
    const event: Event = { ...body, seq: this.state.seq + 1, at: this.time(ms) }
    this.state = reduce(this.state, event)
    this.events.push(event)
    if (event.type === 'logged')
      this.tails[event.service] = [...(this.tails[event.service] ?? []), ...event.lines].slice(-500)
    for (const listener of this.listeners) listener(event, this.state)
    return this
  }

  /** A fresh snapshot takes the place of what was known. */
  replace(state: StackState): void {
    this.state = state
    for (const listener of this.listeners) listener(null, state)
  }

  started(service: string, ms: number): this {
    return this.emit(
      { type: 'instanceStarted', service, instance: `${service}-1`, startedAt: this.time(ms), restarts: 0 },
      ms,
    )
  }

  healthy(service: string, ms: number): this {
    return this.emit(
      { type: 'serviceHealthChanged', service, instance: `${service}-1`, health: 'healthy', output: null },
      ms,
    )
  }

  stopped(
    service: string,
    exitCode: number,
    cause: string,
    lastLines: readonly string[],
    ms: number,
    requested = false,
  ): this {
    const about = {
      service,
      instance: `${service}-1`,
      exitCode,
      oomKilled: false,
      cause,
      requested,
      willRestart: false,
    }
    return this.emit({ type: 'instanceStopped', ...about, lastLines }, ms)
  }

  log(service: string, texts: readonly string[], ms = this.clock, dropped = 0): this {
    const known = this.state.services[service]?.logLines ?? 0
    const lines = texts.map((text): LogLine => ({ at: this.time(ms), stream: 'stdout', text }))
    const numbers = { firstLine: known + 1, lastLine: known + texts.length }
    return this.emit({ type: 'logged', service, instance: `${service}-1`, ...numbers, dropped, lines }, ms)
  }
}

function summary(name: string, about: Partial<ServiceSummary>): ServiceSummary {
  const usual = {
    oneShot: false,
    hasHealthCheck: true,
    dependsOn: [],
    ports: [],
    built: false,
    watched: false,
  }
  return { ...usual, ...about, name }
}

/** The seven services of the example shop. */
const SHOP: readonly ServiceSummary[] = [
  summary('nginx', { dependsOn: ['api', 'web'] }),
  summary('api', {
    built: true,
    watched: true,
    dependsOn: ['postgres', 'elasticsearch', 'redis', 'migrate'],
  }),
  summary('web', { built: true, watched: true }),
  summary('postgres', {}),
  summary('elasticsearch', {}),
  summary('redis', {}),
  summary('migrate', {
    built: true,
    oneShot: true,
    hasHealthCheck: false,
    dependsOn: ['postgres', 'elasticsearch'],
  }),
]

const NAMES = SHOP.map((service) => service.name)

/** The session is there and knows the services. */
export function begin(source: StorySource, services: readonly ServiceSummary[] = SHOP): StorySource {
  const names = services.map((service) => service.name)
  return source
    .emit(
      {
        type: 'sessionStarted',
        project: 'shop',
        folder: '/home/dev/shop',
        engine: 'compose',
        pid: 4242,
        version: '0.1.0',
      },
      0,
    )
    .emit({ type: 'projectResolved', services }, 100)
    .emit({ type: 'upStarted', services: names }, 120)
}

function ports(source: StorySource): StorySource {
  const assign = (service: string, target: number, port: number): unknown =>
    source.emit({
      type: 'portAssigned',
      service,
      target,
      hostIp: '127.0.0.1',
      port,
      wanted: port,
      reason: 'free',
    })
  assign('nginx', 80, 8080)
  assign('postgres', 5432, 5432)
  assign('elasticsearch', 9200, 9200)
  assign('redis', 6379, 6379)
  return source
}

/** Images are pulled and built: 4.2 s in. */
export function building(source: StorySource): StorySource {
  ports(begin(source))
  const op = (id: string, kind: 'pullImage' | 'buildImage' | 'buildService', service: string) =>
    ({ operation: id, kind, services: [service] }) as const
  const none = { step: null, steps: null, percent: null, bytes: null, totalBytes: null }
  source
    .emit(
      {
        type: 'operationStarted',
        ...op('build api', 'buildService', 'api'),
        label: 'build api',
        cause: 'no image yet',
      },
      300,
    )
    .emit(
      {
        type: 'operationStarted',
        ...op('build web', 'buildService', 'web'),
        label: 'build web',
        cause: 'its sources changed',
      },
      310,
    )
    .emit(
      {
        type: 'operationStarted',
        ...op('pull postgres:17', 'pullImage', 'postgres'),
        label: 'pull postgres:17',
        cause: 'not here yet',
      },
      320,
    )
    .emit(
      {
        type: 'operationStarted',
        ...op('build devstack/elasticsearch:8', 'buildImage', 'elasticsearch'),
        label: 'build elasticsearch',
        cause: 'no registry answers',
      },
      330,
    )
  return source
    .emit(
      {
        type: 'operationProgressed',
        ...op('build api', 'buildService', 'api'),
        progress: {
          ...none,
          text: 'RUN pip install --no-cache-dir -r requirements.txt',
          step: 4,
          steps: 12,
          percent: 31,
        },
      },
      3000,
    )
    .emit(
      {
        type: 'operationProgressed',
        ...op('build web', 'buildService', 'web'),
        progress: { ...none, text: 'RUN npm ci', step: 3, steps: 6 },
      },
      3500,
    )
    .emit(
      {
        type: 'operationProgressed',
        ...op('pull postgres:17', 'pullImage', 'postgres'),
        progress: { ...none, text: 'downloading', bytes: 12_400_000, totalBytes: 80_000_000 },
      },
      4000,
    )
    .emit(
      {
        type: 'operationProgressed',
        ...op('build devstack/elasticsearch:8', 'buildImage', 'elasticsearch'),
        progress: { ...none, text: 'downloading org.elasticsearch:elasticsearch:8', percent: 78 },
      },
      4200,
    )
}

/** Containers start, three are healthy: 4.5 s in. */
export function starting(source: StorySource): StorySource {
  ports(begin(source))
  const hold = (service: string, on: readonly string[]) =>
    source.emit({ type: 'held', service, hold: { reason: 'waits for', on } }, 400)
  hold('nginx', ['api', 'web'])
  hold('api', ['elasticsearch', 'migrate'])
  hold('migrate', ['postgres', 'elasticsearch'])
  source.started('redis', 500).started('postgres', 510).started('elasticsearch', 520).started('web', 530)
  source.log('elasticsearch', ['loaded module [analysis-common]', 'initialized', 'starting ...'], 2500)
  source.healthy('redis', 800).healthy('postgres', 2400).healthy('web', 2600)
  source.emit(
    { type: 'held', service: 'migrate', hold: { reason: 'waits for', on: ['elasticsearch'] } },
    2400,
  )
  source.clock = 4500
  return source
}

/** All is up, 9.2 s after it began. */
export function ready(source: StorySource): StorySource {
  starting(source)
  source.healthy('elasticsearch', 5600)
  source
    .emit({ type: 'released', service: 'migrate' }, 5610)
    .started('migrate', 5650)
    .stopped('migrate', 0, 'exited 0', [], 6550)
  source.emit({ type: 'released', service: 'api' }, 6560).started('api', 6600).healthy('api', 8700)
  source.emit({ type: 'released', service: 'nginx' }, 8710).started('nginx', 8750).healthy('nginx', 9350)
  const criticalPath = [
    { service: 'elasticsearch', durationMs: 5100 },
    { service: 'migrate', durationMs: 900 },
    { service: 'api', durationMs: 2100 },
    { service: 'nginx', durationMs: 600 },
  ]
  const urls = [{ service: 'nginx', url: 'http://127.0.0.1:8080' }]
  return source.emit({ type: 'stackReady', durationMs: 9230, criticalPath, urls, touched: 7 }, 9350)
}

/** Requests come in: twelve minutes later. */
export function busy(source: StorySource, lines = 40): StorySource {
  ready(source)
  const texts = Array.from(
    { length: lines },
    (_, index) => `GET /api/products?page=${String(index + 1)} 200 ${String((index * 7) % 23)} ms`,
  )
  source.log('api', texts, 12 * 60_000)
  return source
}

const SHOP_FOLDER = '/home/dev/shop'

/** A rule of the shop's compose file. */
function rule(service: string, path: string, action: WatchAction, line: number): UpdateRule {
  const at = { file: `${SHOP_FOLDER}/compose.yaml`, line, column: 9 }
  return { action, path: `${SHOP_FOLDER}/${service}/${path}`, at, files: 1 }
}

export const API_RULE = rule('api', 'src', 'sync', 52)
const REQUIREMENTS_RULE = rule('api', 'requirements.txt', 'rebuild', 55)
const SAVED = 10 * 60_000

/** All is up, and every process runs the code it was built from. */
export function fresh(source: StorySource): StorySource {
  ready(source)
  source.emit({ type: 'serverKnown', service: 'api', server: 'devstack reloader', reason: null }, 9400)
  source.emit({ type: 'freshnessChanged', service: 'api', state: 'live', waitingFor: null, batch: 0 })
  return source.emit({ type: 'freshnessChanged', service: 'web', state: 'live', waitingFor: null, batch: 0 })
}

/** A save of a module of the API is in the container: 7 ms after it. */
export function syncing(source: StorySource): StorySource {
  return deliver(fresh(source))
}

/** ... and runs 31 ms after it. */
export function saved(source: StorySource): StorySource {
  return takeUp(syncing(source))
}

/** ... or does not: it has a syntax error, and the last good process answers. */
export function stale(source: StorySource): StorySource {
  return refuse(syncing(source))
}

/** The next part of the story of {@link syncing}. */
export function deliver(source: StorySource): StorySource {
  const batch = 1
  const files = [`${API_RULE.path}/shop/app.py`]
  const about = { batch, service: 'api' }
  source.emit({ type: 'filesChanged', batch, files, savedAt: source.time(SAVED) }, SAVED + 2)
  const reason = `sync: ${files[0] ?? ''}`
  source.emit({ type: 'updateDecided', ...about, action: 'sync', files, reason, rules: [API_RULE] })
  source.emit({ type: 'freshnessChanged', ...about, state: 'syncing', waitingFor: 'delivery' })
  const what = { written: ['/app/shop/app.py'], deleted: [], bytes: 3100, durationMs: 5 }
  source.emit({ type: 'delivered', ...about, instance: 'api-1', ...what }, SAVED + 7)
  return source.emit({ type: 'freshnessChanged', ...about, state: 'reloading', waitingFor: 'its workers' })
}

/** The next part of the story of {@link saved}. */
export function takeUp(source: StorySource): StorySource {
  const about = { batch: 1, service: 'api' }
  const took = { what: 'app', detail: '2 workers', durationMs: 23 }
  source.emit({ type: 'reloaded', ...about, instance: 'api-1', ...took }, SAVED + 30)
  return source.emit({ type: 'freshnessChanged', ...about, state: 'live', waitingFor: null }, SAVED + 31)
}

/** The next part of the story of {@link stale}. */
export function refuse(source: StorySource): StorySource {
  const about = { batch: 1, service: 'api' }
  const failed = {
    step: 'reload',
    message: 'SyntaxError: invalid syntax',
    place: { file: `${API_RULE.path}/shop/app.py`, line: 3, column: 7 },
    output: ['  File "/app/shop/app.py", line 3', '    def broken(:', '               ^'],
    waitsFor: 'a save that mends it; the last good code goes on',
  } as const
  source.emit({ type: 'updateFailed', ...about, ...failed }, SAVED + 28)
  return source.emit({
    type: 'freshnessChanged',
    ...about,
    state: 'stale',
    waitingFor: 'a save that mends: SyntaxError: invalid syntax (/app/shop/app.py:3)',
  })
}

/** ... and runs after all, without another save: what it needed is there now. */
export function overcome(source: StorySource): StorySource {
  const about = { batch: 1, service: 'api' }
  return stale(source).emit(
    { type: 'freshnessChanged', ...about, state: 'live', waitingFor: null },
    SAVED + 60_000,
  )
}

/** ... and is stale again for another reason. */
export function staleAgain(source: StorySource): StorySource {
  const about = { batch: 1, service: 'api' }
  return overcome(source).emit(
    {
      type: 'freshnessChanged',
      ...about,
      state: 'stale',
      waitingFor: 'a save that mends: ImportError: redis',
    },
    SAVED + 120_000,
  )
}

/** A saved compose file waits for a person, and a mass delete too. */
export function held(source: StorySource): StorySource {
  saved(source)
  source.emit({
    type: 'approvalRequested',
    id: 'plan-2',
    kind: 'plan',
    service: null,
    text: 'compose.yaml changed: recreate api',
    detail: ['recreate api: env changed: FLASK_ENV', 'start api'],
  })
  return source.emit({
    type: 'approvalRequested',
    id: 'delete-web',
    kind: 'delete',
    service: 'web',
    text: '214 of 230 watched files of web are gone: delete them in the container',
    detail: ['src/App.jsx', 'and 213 more'],
  })
}

/** What the API installs changed: its image is built again while the old container answers. */
export function rebuilding(source: StorySource): StorySource {
  saved(source)
  const files = [REQUIREMENTS_RULE.path]
  const about = { batch: 2, service: 'api' }
  source.emit({ type: 'filesChanged', batch: 2, files, savedAt: source.time(SAVED + 60_000) }, SAVED + 60_003)
  const reason = `rebuild: ${files[0] ?? ''}`
  source.emit({
    type: 'updateDecided',
    ...about,
    action: 'rebuild',
    files,
    reason,
    rules: [REQUIREMENTS_RULE],
  })
  return source.emit({ type: 'freshnessChanged', ...about, state: 'pending', waitingFor: 'its new image' })
}

/** The API exits at once; what needs it cannot start. */
export function crashed(source: StorySource): StorySource {
  starting(source)
  source.healthy('elasticsearch', 5600)
  source
    .emit({ type: 'released', service: 'migrate' }, 5610)
    .started('migrate', 5650)
    .stopped('migrate', 0, 'exited 0', [], 6550)
  source.emit({ type: 'released', service: 'api' }, 6560).started('api', 6600)
  const last = [
    'Traceback (most recent call last):',
    '  File "/app/wsgi.py", line 3, in <module>',
    "ModuleNotFoundError: No module named 'shop'",
  ]
  source.log('api', last, 6900).stopped('api', 1, 'exited 1', last, 7000)
  source.emit(
    { type: 'held', service: 'nginx', hold: { reason: 'cannot start: api exited 1', on: [] } },
    7010,
  )
  const failures = [
    { service: 'api', cause: 'exited 1' },
    { service: 'nginx', cause: 'needs api' },
  ]
  return source.emit({ type: 'stackFailed', durationMs: 6900, cancelled: false, failures }, 7020)
}

/** A build fails; its last lines are known. */
export function brokenBuild(source: StorySource): StorySource {
  building(source)
  const output = [
    '#9 [web 4/6] RUN npm run build',
    '#9 1.204 src/App.jsx:12:3: ERROR: Unexpected "}"',
    '#9 ERROR: process "/bin/sh -c npm run build" did not complete: exit code: 1',
  ]
  const error = {
    code: 'BUILD_FAILED' as const,
    message: 'web cannot be built',
    cause: 'step 4/6 `RUN npm run build` ended with 1',
    hint: 'mend src/App.jsx, then: devstack rebuild web',
    at: null,
    problems: [],
  }
  source.emit(
    {
      type: 'operationFailed',
      operation: 'build web',
      kind: 'buildService',
      services: ['web'],
      durationMs: 5200,
      error,
      output,
    },
    5500,
  )
  return source.emit(
    {
      type: 'stackFailed',
      durationMs: 5400,
      cancelled: false,
      failures: [{ service: 'web', cause: error.cause }],
    },
    5600,
  )
}

export { NAMES as SHOP_NAMES }
