import { afterAll, beforeAll, expect, it } from 'vitest'
import { onEngine } from './on-engine.js'
import { idle, makePlace, takePort, type Ended, type Place } from './support.js'

// What makes no sense, or cannot be: said at once, all of it, at its place; nothing is created.

async function refused(files: Readonly<Record<string, string>>, argv: readonly string[]): Promise<Ended> {
  await using place = await makePlace(files)
  const ended = await place.devstack(argv)
  expect(await place.things()).toEqual([])
  return ended
}

onEngine('a compose file', () => {
  it('with three mistakes shows all three with file:line:column, and exits 2', async () => {
    const ended = await refused(
      {
        'compose.yaml': `services:
  api:
    imagee: debian:trixie
    ports: ['99999:80']
  web:
    image: debian:trixie
    depends_on: [apii]
`,
      },
      ['up', '--detach'],
    )
    expect(ended.code).toBe(2)
    // As seen from the current folder.
    expect(ended.all).toMatch(/^devstack \|   compose\.yaml:3:5: .*imagee/m)
    expect(ended.all).toMatch(/did you mean "image"/)
    expect(ended.all).toMatch(/compose\.yaml:4:\d+: .*99999/)
    expect(ended.all).toMatch(/compose\.yaml:7:\d+: .*apii/)
    expect(ended.all).not.toMatch(/^\s+at .*\.js/m)
  })

  it('that is no YAML is shown where it breaks', async () => {
    const ended = await refused({ 'compose.yaml': 'services:\n  api: {image: debian:trixie\n  web: 1\n' }, [
      'up',
      '--detach',
    ])
    expect(ended.code).toBe(2)
    expect(ended.all).toMatch(/compose\.yaml:\d+:\d+/)
  })

  it('with a circle of dependencies names the whole circle', async () => {
    const text = `services:
  a:${idle('\n    depends_on: [b]')}
  b:${idle('\n    depends_on: [c]')}
  c:${idle('\n    depends_on: [a]')}
`
    const ended = await refused({ 'compose.yaml': text }, ['up', '--detach'])
    expect(ended.code).toBe(2)
    expect(ended.all).toMatch(/a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c/)
  })

  it('with a required variable that is not set says which, where, and what the file says about it', async () => {
    const text =
      'services:\n  a:\n    image: debian:trixie\n    environment:\n      PASSWORD: ${DB_PASSWORD:?set it in .env}\n'
    const ended = await refused({ 'compose.yaml': text }, ['up', '--detach'])
    expect(ended.code).toBe(2)
    expect(ended.all).toMatch(/ compose\.yaml:5:\d+: .*DB_PASSWORD/)
    expect(ended.all).toContain('set it in .env')
  })

  it('with an image that can neither be pulled nor built says so by name', async () => {
    const text = 'services:\n  a:\n    image: no.such.registry.invalid/nobody/nothing:9\n'
    const ended = await refused({ 'compose.yaml': text }, ['up', '--detach'])
    expect([1, 3]).toContain(ended.code)
    expect(ended.all).toContain('no.such.registry.invalid/nobody/nothing:9')
  })
})

onEngine('devstack.yaml', () => {
  it('with unknown keys shows every one at its place', async () => {
    const ended = await refused(
      {
        'compose.yaml': `services:\n  a:${idle()}\n`,
        'devstack.yaml': 'nam: shop\nimages:\n  sorce: auto\n',
      },
      ['up', '--detach'],
    )
    expect(ended.code).toBe(2)
    expect(ended.all).toMatch(/devstack\.yaml:1:1: .*nam/)
    expect(ended.all).toMatch(/devstack\.yaml:3:3: .*sorce/)
    expect(ended.all).toContain('did you mean "source"')
  })
})

onEngine('a command line', () => {
  let place: Place
  beforeAll(async () => {
    const watched = '\n    develop: { watch: [{ action: sync, path: src, target: /src }] }'
    place = await makePlace({ 'compose.yaml': `services:\n  api:${idle(watched)}\n`, 'src/app.py': '' })
  })
  afterAll(async () => place[Symbol.asyncDispose]())

  it('with an unknown service suggests the nearest and exits 2', async () => {
    const ended = await place.devstack(['up', '--detach', 'apii'])
    expect(ended.code).toBe(2)
    expect(ended.all).toContain('there is no service "apii"')
    expect(ended.all).toContain('did you mean "api"?')
    expect(await place.things()).toEqual([])
  })

  it.each(['logs', 'restart', 'stop', 'exec', 'open'])(
    '%s of an unknown service exits 2, too',
    async (verb) => {
      const ended = await place.devstack([verb, 'apii', ...(verb === 'exec' ? ['--', 'true'] : [])])
      expect([ended.code, ended.all]).toEqual([2, expect.stringContaining('did you mean "api"?')])
    },
  )

  it('with an unknown verb or flag exits 2', async () => {
    const verb = await place.devstack(['upp'])
    expect(verb.code).toBe(2)
    expect(verb.stderr).toContain('Did you mean up?')
    expect((await place.devstack(['up', '--nope'])).code).toBe(2)
    expect((await place.devstack(['wait', '--for', 'freshh'])).code).toBe(2)
  })

  it('that waits for freshness is told that nobody watches, and that the time is over', async () => {
    const ended = await place.devstack(['wait', '--for', 'fresh', '--timeout', '1s'])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('watches the sources yet; devstack up --detach starts one')
  })

  it('outside of a project says so', async () => {
    const ended = await place.devstack(['status'], { cwd: '/' })
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain('no project')
  })

  it('without an engine says so and exits 3', async () => {
    const env = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' }
    for (const argv of [['status'], ['up', '--detach'], ['down']]) {
      const ended = await place.devstack(argv, { env })
      expect([argv, ended.code]).toEqual([argv, 3])
      expect(ended.all).toContain('/nonexistent/docker.sock')
      expect(ended.all).toMatch(/try: /)
    }
  })

  it('that deletes data without a terminal and without --yes is refused', async () => {
    const ended = await place.devstack(['down', '--volumes'], { env: { CI: '' } })
    expect(ended.code).toBe(3)
    expect(ended.stderr).toContain('--yes')
  })
})

onEngine.each(['127.0.0.1', '::1', '0.0.0.0'])('a port that is taken on %s', (host) => {
  it('is named with its owner before anything is created; --free-ports takes another and keeps it', async () => {
    await using taken = await takePort(host)
    const bind = host === '::1' ? `'[::1]:${String(taken.port)}:80'` : `'127.0.0.1:${String(taken.port)}:80'`
    const text = `services:\n  a:${idle(`\n    ports: [${bind}]`)}\n`
    await using place = await makePlace({ 'compose.yaml': text })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code).toBe(3)
    expect(ended.all).toContain(`port ${String(taken.port)}`)
    expect(ended.all).toMatch(new RegExp(`\\(pid ${String(process.pid)}\\)`))
    expect(ended.all).toContain('--free-ports')
    expect(await place.things()).toEqual([])
    const freed = await place.devstack(['up', '--detach', '--free-ports'])
    expect(freed.code).toBe(0)
    const url = (await place.devstack(['open', 'a', '--print'])).stdout.trim()
    expect(url).not.toContain(String(taken.port))
    expect((await place.devstack(['up', '--detach'])).code).toBe(0)
    expect((await place.devstack(['open', 'a', '--print'])).stdout.trim()).toBe(url)
  })
})
