import { afterEach, beforeEach, expect, it } from 'vitest'
import { onEngine } from './on-engine.js'
import { OwnEngine } from './own-engine.js'
import { docker, makePlace, type Ended, type Place, type Running } from './support.js'

// The engine goes away, or its disk is full. Never the machine's own engine: each test has one of its own.

const IMAGE = await baseImage()

/** No network at all: the test's engine has none. */
function service(more: string): string {
  return `
    image: ${IMAGE}
    init: true
    network_mode: none
    stop_grace_period: 1s
    ${more}`
}

const counting = `services:
  counter:${service(`command: [sh, -c, 'i=0; while :; do i=$$((i+1)); echo line $$i; sleep 0.05; done']`)}
`
const slow = `services:
  db:${service(`command: [sleep, infinity]
    healthcheck: { test: [CMD, 'false'], interval: 60s, start_interval: 1s, start_period: 60s }`)}
  app:${service(`command: [sleep, infinity]
    depends_on: { db: { condition: service_healthy } }`)}
`

onEngine('an engine that goes away', () => {
  let engine: OwnEngine
  beforeEach(async () => {
    engine = await OwnEngine.start()
    await engine.load(IMAGE)
  })
  afterEach(async () => engine[Symbol.asyncDispose]())

  it('while a stack comes up: the command ends in bounds, says so and what to do, exit 3', async () => {
    await using place = await makePlace({ 'compose.yaml': slow }, { env: { DOCKER_HOST: engine.host } })
    const up = place.start(['up'])
    await up.prints(/db +\| started/)
    await engine.kill()
    const begin = performance.now()
    const ended = await up.ended
    expect(performance.now() - begin).toBeLessThan(30_000)
    expect(ended.code, ended.all).toBe(3)
    expect(ended.all).toMatch(/error: the Docker engine went away\n/)
    expect(ended.all).toMatch(/try: start it again .*devstack up/)
    await engine.start()
    const down = await place.devstack(['down'])
    expect(down.code, down.all).toBe(0)
    expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
  })

  it('while a stack is up: the session says so, goes on when it is back, and loses no line', async () => {
    await using place = await makePlace({ 'compose.yaml': counting }, { env: { DOCKER_HOST: engine.host } })
    const up = place.start(['up'])
    await up.prints(/line 20\n/)
    await engine.kill()
    await up.prints(/warning: the engine does not answer/)
    const away = await place.devstack(['status'])
    expect(away.code, away.all).toBe(3)
    await engine.start()
    await up.prints(/the engine answers again/)
    const seen = lastLine(up)
    await up.prints(new RegExp(`line ${String(seen + 200)}\\n`))
    expect((await place.devstack(['status'])).code).toBe(0)
    up.kill('SIGINT')
    const ended = await up.ended
    expect(ended.code, ended.all).toBe(130)
    const numbers = [...ended.stdout.matchAll(/^counter +\| line (\d+)$/gm)].map(([, text]) => Number(text))
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
    await expectDown(place)
  })
})

onEngine('a disk that is full', () => {
  const files = {
    'compose.yaml': 'services:\n  big:\n    build: { context: ., network: none }\n    network_mode: none\n',
    Dockerfile: `FROM ${IMAGE}\nRUN head -c 3G /dev/zero > /big\n`,
  }

  it('nearly, before a build: is named with what to do, exit 3', async () => {
    await using engine = await OwnEngine.start({ diskMegabytes: 500 })
    await using place = await makePlace(files, { env: { DOCKER_HOST: engine.host } })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code, ended.all).toBe(3)
    expect(ended.all).toMatch(/error: the disk is nearly full\n +cause: [\d.]+ GiB free .*\n +try: /)
    expect(await engine.docker('images', '--all', '--quiet')).toBe('')
  })

  it('by a build: is named with what to do, exit 3, and the next command still works', async () => {
    await using engine = await OwnEngine.start({ diskMegabytes: 1600 })
    await engine.load(IMAGE)
    await using place = await makePlace(files, { env: { DOCKER_HOST: engine.host } })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code, ended.all).toBe(3)
    expect(ended.all).toMatch(/error: the disk is full/)
    expect(ended.all).toMatch(/try: .*docker system df/)
    expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
    await expectDown(place)
  })
})

async function expectDown(place: Place): Promise<void> {
  const down: Ended = await place.devstack(['down', '--volumes', '--yes'])
  expect(down.code, down.all).toBe(0)
}

function lastLine(running: Running): number {
  return Number([...running.all().matchAll(/line (\d+)\n/g)].at(-1)?.[1] ?? 0)
}

/** The base that devstack built on this machine, under whatever name it has now. */
async function baseImage(): Promise<string> {
  const images = await docker('images', '--format', '{{.Repository}}:{{.Tag}}', 'devstack/base').catch(
    () => '',
  )
  return images.split('\n').find((name) => name !== '') ?? 'devstack/base:none'
}
