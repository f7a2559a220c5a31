import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { onEngine } from './on-engine.js'
import { docker, idle, makePlace, type Place } from './support.js'

const composeText = `services:
  db:${idle("\n    volumes: ['data:/data']")}
  app:
    build: ./app
    init: true
    stop_grace_period: 1s
    depends_on: { db: { condition: service_healthy } }
    ports: ['127.0.0.1:\${APP_PORT:-18990}:80']
    healthcheck: { test: [CMD, 'true'], interval: 5s, start_interval: 100ms, start_period: 30s }
    develop:
      watch: [{ action: sync, path: ./app/src, target: /app/src }]
volumes: { data: {} }
`
const files = {
  'compose.yaml': composeText,
  'app/Dockerfile':
    'FROM debian:trixie\nCOPY src /app/src\nCMD ["sh", "-c", "echo hello from app; exec sleep infinity"]\n',
  'app/src/main.txt': 'first',
  'app/src/old.txt': 'old',
  'sub/folder/note.txt': '',
}

/** Every file of a folder with its content and time: what must not change. */
async function snapshot(folder: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const name of (await readdir(folder, { recursive: true })).toSorted()) {
    const path = join(folder, name)
    const { mtimeMs } = await stat(path)
    found[name] = (await stat(path)).isFile()
      ? `${String(mtimeMs)} ${await readFile(path, 'utf8')}`
      : String(mtimeMs)
  }
  return found
}

onEngine("somebody's project with no devstack.yaml", () => {
  let place: Place
  let before: Readonly<Record<string, string>>
  beforeAll(async () => {
    place = await makePlace(files)
    before = await snapshot(place.folder)
    const ended = await place.devstack(['up', '--detach'], { cwd: join(place.folder, 'sub/folder') })
    expect([ended.code, ended.all]).toEqual([0, ended.all])
    expect(ended.stdout).toMatch(/ready in [\d.]+ s: .*db [\d.]+ -> app [\d.]+/)
  })
  afterAll(async () => place[Symbol.asyncDispose]())

  const inApp = async (path: string): Promise<string | null> => {
    const ended = await place.devstack(['exec', '-T', 'app', '--', 'cat', path])
    return ended.code === 0 ? ended.stdout : null
  }
  const ids = async (): Promise<readonly string[]> => (await place.containers()).map(({ id }) => id)

  it('comes up from a subfolder, and nothing in it is changed', async () => {
    expect(await snapshot(place.folder)).toEqual(before)
    expect((await place.containers()).map(({ state }) => state)).toEqual(['running', 'running'])
  })

  it('is the project that plain Compose sees', async () => {
    const text = await docker(
      'compose',
      '--project-directory',
      place.folder,
      'ps',
      '--format',
      '{{.Service}}',
    )
    expect(text.trim().split('\n').toSorted()).toEqual(['app', 'db'])
  })

  it('is left alone by a second up: no container is touched, with a session and without', async () => {
    const known = await ids()
    expect((await place.devstack(['up', '--detach'])).stdout).toContain('nothing to do')
    process.kill((await place.sessionPid()) ?? 0, 'SIGTERM')
    expect((await place.devstack(['up', '--detach'])).stdout).toContain('nothing to do')
    expect(await ids()).toEqual(known)
  })

  it('gets every save, and loses none when its container is recreated', async () => {
    await place.write('app/src/main.txt', 'second')
    await expect.poll(() => inApp('/app/src/main.txt')).toBe('second')
    await docker(
      'rm',
      '--force',
      ...(await place.containers()).filter(({ service }) => service === 'app').map(({ id }) => id),
    )
    expect((await place.devstack(['up', '--detach'])).code).toBe(0)
    expect(await inApp('/app/src/main.txt')).toBe('second')
    await place.write('app/src/main.txt', 'first')
    await expect.poll(() => inApp('/app/src/main.txt')).toBe('first')
  })

  it('tells its state as devstack.status/1', async () => {
    const { stdout, code } = await place.devstack(['status', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'devstack.status/1',
      project: place.name,
      engine: 'compose',
      services: [
        {
          name: 'app',
          phase: 'running',
          health: 'healthy',
          urls: ['http://127.0.0.1:18990'],
          instances: [{ restarts: 0 }],
        },
        { name: 'db', phase: 'running', health: 'healthy', urls: [] },
      ],
    })
  })

  it('lets commands run inside, with their exit code and their input', async () => {
    expect((await place.devstack(['exec', 'app', '--', 'sh', '-c', 'exit 42'])).code).toBe(42)
    expect((await place.devstack(['exec', 'app', '--', 'cat'], { stdin: 'through' })).stdout).toBe('through')
    expect((await place.devstack(['exec', '-e', 'A=b c', 'app', '--', 'printenv', 'A'])).stdout).toBe('b c\n')
  })

  it('shows logs, filtered', async () => {
    expect((await place.devstack(['logs', 'app'])).stdout).toContain('hello from app')
    expect((await place.devstack(['logs', '--grep', 'hello', '--invert', 'app'])).stdout).toBe('')
    const [line] = (await place.devstack(['logs', '--json', 'app'])).stdout.split('\n')
    expect(JSON.parse(line ?? '')).toMatchObject({ service: 'app', stream: 'stdout', line: 'hello from app' })
  })

  it('waits, and says what it waited for', async () => {
    expect((await place.devstack(['wait', 'app', '--timeout', '20s'])).code).toBe(0)
    const late = await place.devstack(['wait', 'app', '--for', 'stopped', '--timeout', '300ms'])
    expect(late.code).toBe(1)
    expect(late.stderr).toContain('not stopped after 300ms: app')
  })

  it('stops, starts, restarts and rebuilds one service without the other', async () => {
    const [, db] = await place.containers()
    expect((await place.devstack(['stop', 'app'])).code).toBe(0)
    expect((await place.containers()).map(({ state }) => state)).toEqual(['exited', 'running'])
    expect((await place.devstack(['start', 'app'])).code).toBe(0)
    expect((await place.devstack(['restart', 'app'])).code).toBe(0)
    expect((await place.devstack(['rebuild', 'app'])).code).toBe(0)
    expect((await place.containers())[1]?.id).toBe(db?.id)
    expect((await place.containers()).map(({ state }) => state)).toEqual(['running', 'running'])
  })

  it('prints its Events as JSON, numbered without gaps, which rebuild the state', async () => {
    process.kill((await place.sessionPid()) ?? 0, 'SIGTERM')
    const ended = await place.devstack(['up', '--detach', '--ui', 'json'])
    const events = ended.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { schema: string; seq: number; type: string })
    expect(new Set(events.map(({ schema }) => schema))).toEqual(new Set(['devstack.event/1']))
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events[0]?.type).toBe('sessionStarted')
    expect(events.map(({ type }) => type)).toContain('stackReady')
  })

  it('is listed among the stacks of the user', async () => {
    const rows = (await place.devstack(['ls', '--json'])).stdout.trim().split('\n')
    expect(rows.map((row) => JSON.parse(row) as object)).toMatchObject([
      { project: place.name, folder: place.folder },
    ])
  })
})

onEngine('two worktrees', () => {
  it('are up side by side with no flag: own names, own data, own ports that stay', async () => {
    await using first = await makePlace(files, { name: 'dse2e-twins' })
    await using second = await makePlace(files, {
      name: 'dse2e-twins',
      state: first.env['XDG_STATE_HOME'] ?? '',
    })
    expect((await first.devstack(['up', '--detach'])).code).toBe(0)
    const up = await second.devstack(['up', '--detach'])
    expect([up.code, up.all]).toEqual([0, up.all])
    const address = async (place: Place): Promise<string> =>
      (await place.devstack(['open', 'app', '--print'])).stdout.trim()
    const [one, other] = [await address(first), await address(second)]
    expect(one).toBe('http://127.0.0.1:18990')
    expect(other).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(other).not.toBe(one)

    await first.devstack(['exec', 'db', '--', 'touch', '/data/of-first'])
    expect((await second.devstack(['exec', 'db', '--', 'ls', '/data'])).stdout).toBe('')
    await second.devstack(['down'])
    expect((await first.containers()).map(({ state }) => state)).toEqual(['running', 'running'])
    expect((await second.devstack(['up', '--detach'])).code).toBe(0)
    expect(await address(second)).toBe(other)
    const rows = (await first.devstack(['ls', '--json'])).stdout.trim().split('\n')
    expect(rows).toHaveLength(2)
  })
})
