import { expect, it } from 'vitest'
import { onEngine, rounds, seeded } from './on-engine.js'
import { idle, makePlace, type Place } from './support.js'

// Ctrl-C, kill -9, two at once: whatever happens, the next command finds its way, and `down` leaves nothing.

const slowStart = `services:
  db:${idle()}
  slow:
    image: debian:trixie
    init: true
    command: [sleep, infinity]
    stop_grace_period: 1s
    depends_on: { db: { condition: service_healthy } }
    healthcheck: { test: [CMD, 'false'], interval: 60s, start_interval: 1s, start_period: 60s }
`
const quick = `services:
  db:${idle("\n    volumes: ['data:/data']")}
  once:
    image: debian:trixie
    command: ['true']
    depends_on: { db: { condition: service_healthy } }
  app:${idle('\n    depends_on: { once: { condition: service_completed_successfully } }')}
volumes: { data: {} }
`

async function running(place: Place): Promise<readonly string[]> {
  return (await place.containers()).filter(({ state }) => state === 'running').map(({ service }) => service)
}

onEngine('Ctrl-C', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('(%s) while a service starts: stops what this run started, exit %i', async (signal, code) => {
    await using place = await makePlace({ 'compose.yaml': slowStart })
    const up = place.start(['up'])
    await up.prints(/slow +\| started/)
    up.kill(signal)
    const ended = await up.ended
    expect(ended.code).toBe(code)
    expect(await running(place)).toEqual([])
    expect(await place.sessionPid()).toBeNull()
  })

  it('while an image is built: the build ends with all its processes', async () => {
    await using place = await makePlace({
      'compose.yaml': 'services:\n  a:\n    build: .\n',
      Dockerfile: `FROM debian:trixie\nRUN sleep 97.531\n`,
    })
    const up = place.start(['up'])
    await up.prints(/RUN sleep/)
    up.kill('SIGINT')
    expect((await up.ended).code).toBe(130)
    await expect.poll(() => processes('sleep 97.531'), { timeout: 10_000 }).toEqual([])
  })

  it('once up: stops the services and keeps the data; a hang-up only detaches', async () => {
    await using place = await makePlace({ 'compose.yaml': quick })
    const first = place.start(['up'])
    await first.prints(/ready in/)
    first.kill('SIGHUP')
    expect((await first.ended).code).toBe(129)
    expect(await running(place)).toEqual(['app', 'db'])
    const second = place.start(['up'])
    await second.prints(/nothing to do/)
    second.kill('SIGINT')
    expect((await second.ended).code).toBe(130)
    expect(await running(place)).toEqual([])
    expect(await place.things()).toContain(`${place.name}_data`)
  })

  it('twice: the second one does not wait for a container that does not end', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  stubborn:
    image: debian:trixie
    command: [bash, -c, 'trap "" TERM; echo deaf; while :; do sleep 1; done']
    stop_grace_period: 60s
`,
    })
    const up = place.start(['up'])
    await up.prints(/ready in/)
    up.kill('SIGINT')
    await up.prints(/stopping stubborn/)
    up.kill('SIGINT')
    const ended = await up.ended
    expect(ended.code).toBe(130)
    expect(ended.seconds).toBeLessThan(50)
    expect(await running(place)).toEqual([])
  })
})

onEngine('a signal at a random moment of up', () => {
  const times = rounds(6, 20)
  it(
    `is obeyed, and the next up works (${String(times)} of 20)`,
    async () => {
      const random = seeded(11)
      const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
      for (let round = 0; round < times; round += 1) {
        await using place = await makePlace({ 'compose.yaml': quick })
        const [signal, code] = Object.entries(signals)[round % 3] ?? ['SIGINT', 130]
        const up = place.start(['up'])
        // From the launcher's first line to some time after it is ready.
        await new Promise((resolve) => setTimeout(resolve, 50 + random() * 3500))
        up.kill(signal as NodeJS.Signals)
        const ended = await up.ended
        const about = `round ${String(round)}, ${signal}:\n${ended.all}`
        // Before the command listens to signals the system ends it, as a shell would tell with the same number.
        expect(ended.signal ?? ended.code, about).toBe(ended.signal === null ? code : signal)
        if (signal !== 'SIGHUP') expect(await running(place), about).toEqual([])
        const again = await place.devstack(['up', '--detach'])
        expect(again.code, about + again.all).toBe(0)
        expect(await running(place), about).toEqual(['app', 'db'])
        expect((await place.devstack(['down', '--volumes', '--yes'])).code, about).toBe(0)
        expect(await place.things(), about).toEqual([])
        await expect.poll(() => processes(place.folder), { timeout: 15_000, message: about }).toEqual([])
      }
    },
    120_000 + times * 20_000,
  )
})

onEngine('kill -9', () => {
  const times = rounds(5, 50)
  it(
    `of session and command at a random moment of up: the next up converges, down leaves nothing (${String(times)} of 50)`,
    async () => {
      const random = seeded(9)
      for (let round = 0; round < times; round += 1) {
        await using place = await makePlace({ 'compose.yaml': quick })
        const up = place.start(['up'])
        // Anywhere in the two or three seconds that it takes.
        await new Promise((resolve) => setTimeout(resolve, 200 + random() * 2500))
        await killSession(place)
        up.kill('SIGKILL')
        await up.ended
        const again = await place.devstack(['up', '--detach'])
        expect(again.code, `round ${String(round)}:\n${again.all}`).toBe(0)
        expect(await running(place)).toEqual(['app', 'db'])
        expect((await place.containers()).map(({ service }) => service)).toEqual(['app', 'db', 'once'])
        expect((await place.devstack(['down', '--volumes', '--yes'])).code).toBe(0)
        expect(await place.things()).toEqual([])
        await expect.poll(() => processes(place.folder), { timeout: 15_000 }).toEqual([])
      }
    },
    120_000 + times * 20_000,
  )
})

onEngine('two at once', () => {
  const times = rounds(5, 50)
  it(
    `ups: one stack, no failure, no duplicate, and a third changes nothing (${String(times)} of 50)`,
    async () => {
      for (let round = 0; round < times; round += 1) {
        await using place = await makePlace({ 'compose.yaml': quick })
        const both = await Promise.all([
          place.devstack(['up', '--detach']),
          place.devstack(['up', '--detach']),
        ])
        const printed = both.map(({ all }) => all).join('---\n')
        expect(
          both.map(({ code }) => code),
          `round ${String(round)}:\n${printed}`,
        ).toEqual([0, 0])
        const known = await place.containers()
        expect(known.map(({ service }) => service)).toEqual(['app', 'db', 'once'])
        const third = await place.devstack(['up', '--detach'])
        expect([third.code, third.stdout]).toEqual([0, expect.stringContaining('nothing to do')])
        expect((await place.containers()).map(({ id }) => id)).toEqual(known.map(({ id }) => id))
      }
    },
    120_000 + times * 20_000,
  )

  it('downs: twice is as once', async () => {
    await using place = await makePlace({ 'compose.yaml': quick })
    await place.devstack(['up', '--detach'])
    const both = await Promise.all([place.devstack(['down']), place.devstack(['down'])])
    expect(both.map(({ code }) => code)).toEqual([0, 0])
    const third = await place.devstack(['down'])
    expect(third.code).toBe(0)
    expect(third.stdout).toContain('nothing')
  })
})

async function killSession(place: Place): Promise<void> {
  for (const pid of await processes(place.folder)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has ended by itself
    }
  }
}

async function processes(text: string): Promise<readonly number[]> {
  const { readdir, readFile } = await import('node:fs/promises')
  const found: number[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
    if (line.replaceAll('\0', ' ').includes(text)) found.push(Number(entry))
  }
  return found
}
