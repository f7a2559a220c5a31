import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { EventBody } from '../../../src/core/events.js'
import type { Operation } from '../../../src/core/plan.js'
import type { ApplyContext, Engine, EngineEvent, LogRecord } from '../../../src/orchestrator/ports.js'
import { makeComposeProject } from '../../contract/compose-project.js'
import type { ComposeProject } from '../../contract/compose-project.js'
import { engineIsThere } from '../../contract/compose-there.js'
import { startDrive } from '../../contract/drive.js'
import { eventually } from '../../contract/eventually.js'

const there = await engineIsThere()
const projects: ComposeProject[] = []

afterEach(async () => {
  for (const project of projects.splice(0)) await project.dispose()
})

async function project(
  compose: string,
  files: Readonly<Record<string, string>> = {},
): Promise<ComposeProject> {
  const made = await makeComposeProject({ 'compose.yaml': compose, ...files })
  projects.push(made)
  return made
}

const signal = (): AbortSignal => AbortSignal.timeout(90_000)
const run = (): ApplyContext => ({
  signal: signal(),
  progress: () => undefined,
  output: () => undefined,
  emit: () => undefined,
})
const about = { id: 'by hand', label: 'by hand', cause: 'the test asks', dependsOn: [] }
const creation = (services: readonly string[]): Operation => ({ ...about, kind: 'create', services })
const starting = (service: string): Operation => ({ ...about, kind: 'start', service, services: [service] })
const resolve = async (
  engine: Engine,
  freePorts = false,
  emit: (event: EventBody) => void = () => undefined,
) => await engine.resolve({ services: [], profiles: [], freePorts, purpose: 'up' }, emit, signal())

/** Base image, container and network, without waiting for readiness. */
async function begin(engine: Engine, service: string): Promise<void> {
  const { images } = await resolve(engine)
  for (const choice of images) {
    if (choice.action === 'build') {
      await engine.apply({ ...about, kind: 'buildImage', choice, services: choice.services }, run())
    }
  }
  await engine.apply(creation([service]), run())
  await engine.apply(starting(service), run())
}

async function firstEvent(
  engine: Engine,
  wanted: (event: EngineEvent) => boolean,
  act: () => Promise<void>,
): Promise<EngineEvent> {
  for await (const event of engine.events(signal())) {
    if (event.type === 'connected') await act()
    if (wanted(event)) return event
  }
  throw new Error('the event did not come')
}

const SLEEPER = `
services:
  app:
    image: devstack/base:local
    init: true
    command: [sleep, infinity]
`

describe.skipIf(!there)('the Compose engine', () => {
  test('a recreation that was killed is repaired: the leftover goes, or gets its name', async () => {
    const { engine, docker, name, containerOf, lines } = await project(SLEEPER)
    await begin(engine, 'app')
    const hash = (await engine.observe(signal())).instances[0]?.configHash ?? ''
    const names = async () =>
      await lines(
        'ps',
        '--all',
        '--filter',
        `label=com.docker.compose.project=${name}`,
        '--format',
        '{{.Names}}',
      )
    const labels = [
      `com.docker.compose.project=${name}`,
      'com.docker.compose.service=app',
      'com.docker.compose.oneoff=False',
      'com.docker.compose.container-number=1',
      `com.docker.compose.config-hash=${hash}`,
    ].flatMap((label) => ['--label', label])
    const image = await docker('inspect', '--format', '{{.Image}}', await containerOf('app'))
    await docker('create', '--name', `0123456789ab_${name}-app-1`, ...labels, image, 'true')
    await engine.apply(creation(['app']), run())
    expect(await names()).toEqual([`${name}-app-1`])

    await docker('rename', `${name}-app-1`, `0123456789ab_${name}-app-1`)
    expect((await engine.observe(signal())).instances[0]?.state).toBe('dead')
    await engine.apply(creation(['app']), run())
    expect(await names()).toEqual([`${name}-app-1`])
  })

  test('an out-of-memory kill is told as one, with the last lines', async () => {
    const { engine } = await project(`
services:
  app:
    image: devstack/base:local
    mem_limit: 24m
    memswap_limit: 24m
    command: [sh, -c, 'echo eating; exec tail /dev/zero']
`)
    const event = await firstEvent(
      engine,
      ({ type }) => type === 'stopped',
      () => begin(engine, 'app'),
    )
    expect(event).toMatchObject({ service: 'app', oomKilled: true, exitCode: 137, lastLines: ['eating'] })
  })

  test('a failing health check is told with its output', async () => {
    const { engine } = await project(`
services:
  app:
    image: devstack/base:local
    init: true
    command: [sleep, infinity]
    healthcheck: { test: [CMD, sh, -c, 'printf "\\\\033[31mno table\\\\033[0m"; exit 1'], interval: 100ms, retries: 1 }
`)
    const event = await firstEvent(
      engine,
      ({ type }) => type === 'healthChanged',
      () => begin(engine, 'app'),
    )
    expect(event).toMatchObject({ service: 'app', health: 'unhealthy', output: 'no table' })
  })

  test('log lines are clean, long ones are cut, and following goes on in the next run without a double', async () => {
    const { engine } = await project(`
services:
  app:
    image: devstack/base:local
    command:
      - sh
      - -c
      - 'printf "\\\\033]52;c;aGk=\\\\007one\\\\033[2J \\\\377\\\\n"; head -c 40000 /dev/zero | tr "\\\\0" x; echo; echo err >&2; exit 0'
`)
    const records: LogRecord[] = []
    const stop = new AbortController()
    const reading = (async () => {
      const request = { services: [], follow: true, since: null, tail: null }
      for await (const record of engine.logs(request, stop.signal)) records.push(record)
    })()
    await begin(engine, 'app')
    const texts = (): readonly string[] => records.map(({ text }) => text)
    await eventually(async () => expect(texts()).toContain('err'))
    await eventually(async () => expect((await engine.observe(signal())).instances[0]?.state).toBe('exited'))
    const first = records.length
    await engine.apply(starting('app'), run())
    await eventually(async () => expect(records.length).toBe(2 * first))
    stop.abort()
    await reading
    const once = records.slice(0, first)
    expect(once.filter(({ stream }) => stream === 'stdout')[0]?.text).toBe('one \ufffd')
    const long = once.filter(({ text }) => text.startsWith('x'))
    expect(long.map(({ text }) => text.length).reduce((sum, length) => sum + length, 0)).toBe(40_000)
    expect(long.every(({ text }) => text.length <= 16 * 1024)).toBe(true)
    expect(once.find(({ text }) => text === 'err')?.stream).toBe('stderr')
  })

  test('dependants stop first, and who does not mind the signal is killed after its own grace period', async () => {
    const { engine } = await project(`
services:
  app:
    image: devstack/base:local
    init: true
    command: [sleep, infinity]
    depends_on: [store]
  store:
    image: devstack/base:local
    stop_grace_period: 1s
    command: [sh, -c, 'trap "" TERM; while :; do sleep 0.1; done']
`)
    await begin(engine, 'app')
    await engine.apply(starting('store'), run())
    const stop = new AbortController()
    const ended: string[] = []
    const reading = (async () => {
      for await (const event of engine.events(stop.signal)) {
        if (event.type === 'stopped') ended.push(`${event.service} ${String(event.exitCode)}`)
      }
    })()
    await engine.apply({ ...about, kind: 'stop', services: ['store', 'app'], force: false }, run())
    await eventually(() => Promise.resolve(expect(ended).toEqual(['app 143', 'store 137'])))
    stop.abort()
    await reading
  })

  test('a failing build names the step and its last lines', async () => {
    const { engine } = await project(`services: { app: { build: . } }`, {
      Dockerfile: 'FROM devstack/base:local\nRUN echo fine\nRUN echo "no such thing" && exit 3\n',
    })
    const { images } = await resolve(engine)
    for (const choice of images) {
      if (choice.action === 'build')
        await engine.apply({ ...about, kind: 'buildImage', choice, services: ['app'] }, run())
    }
    const building = engine.apply(
      { ...about, kind: 'buildService', service: 'app', services: ['app'] },
      run(),
    )
    await expect(building).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('of 3: RUN echo "no such thing" && exit 3') as unknown,
      why: expect.stringContaining('no such thing') as unknown,
    })
  })

  test.each(['127.0.0.1', '::1', '0.0.0.0'])(
    'a port that is taken on %s is refused before anything is created, and a free one is kept',
    async (host) => {
      const server = createServer()
      await new Promise<void>((done, fail) => {
        server.once('error', fail)
        server.listen(0, host, done)
      })
      try {
        const { port } = server.address() as AddressInfo
        const compose = `${SLEEPER}    ports: ['${String(port)}:80']\n`
        const { open, things } = await project(compose)
        const engine = open({ portOwner: (asked) => Promise.resolve(asked === port ? 'node (pid 1)' : null) })
        await expect(resolve(engine)).rejects.toMatchObject({
          code: 'PORT_TAKEN',
          message: `port ${String(port)} is taken by node (pid 1)`,
          hint: expect.stringContaining('--free-ports') as unknown,
        })
        expect(await things()).toEqual([])
        const published = async (free: boolean) =>
          (await resolve(open(), free)).project.services['app']?.ports[0]?.published
        const given = await published(true)
        expect(given).not.toBe(port)
        expect(await published(false)).toBe(given)
      } finally {
        server.close()
      }
    },
  )

  test('two worktrees are up side by side with the same ports in their files', async () => {
    const compose = `${SLEEPER}    ports: ['127.0.0.1:28123:80']\n`
    const [first, second] = [await project(compose), await project(compose)]
    const one = await startDrive(first.engine)
    const two = await startDrive(second.open({ primary: false }))
    try {
      expect((await one.up()).failures).toEqual([])
      expect((await two.up()).failures).toEqual([])
      const [a, b] = [one, two].map((drive) => drive.project().services['app']?.ports[0]?.published)
      expect(a).toBe(28_123)
      expect(b).not.toBe(a)
      expect((await two.up()).plan.operations).toEqual([])
    } finally {
      await one.end()
      await two.end()
    }
  })
})
