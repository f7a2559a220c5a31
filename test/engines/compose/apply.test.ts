import { randomInt } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Operation } from '../../../src/core/plan.js'
import { createComposeEngine } from '../../../src/engines/compose/engine.js'
import type { Engine } from '../../../src/orchestrator/ports.js'
import { eventually } from '../../contract/eventually.js'
import { startFakeDocker, writeFakeCompose } from './fake-docker.js'
import type { FakeAnswer, FakeDocker } from './fake-docker.js'

const model = { name: 'shop', services: { api: { image: 'nginx:1', healthcheck: { disable: true } } } }
const create: Operation = {
  kind: 'create',
  id: 'create',
  label: 'create containers',
  cause: 'no container yet',
  services: ['api'],
  dependsOn: [],
}

describe('apply', () => {
  let docker: FakeDocker
  let engine: Engine
  let calls: Awaited<ReturnType<typeof writeFakeCompose>>['calls']

  beforeEach(async () => {
    docker = await startFakeDocker()
  })
  afterEach(async () => {
    await docker.dispose()
  })

  const begin = async (answer: FakeAnswer, verb = 'create'): Promise<void> => {
    const compose = await writeFakeCompose(docker.folder, {
      'config --format': { stdout: JSON.stringify(model) },
      'config --hash': { stdout: 'api 1\n' },
      [verb]: answer,
    })
    calls = () => compose.calls()
    engine = createComposeEngine({
      folder: docker.folder,
      files: [join(docker.folder, 'compose.yaml')],
      projectName: 'shop',
      primary: true,
      stateFolder: join(docker.folder, 'state'),
      endpoint: docker.endpoint,
      env: process.env,
      images: { source: 'registry', recipesFolder: join(import.meta.dirname, '../../../compose/images') },
      portOwner: () => Promise.resolve(null),
      version: '0',
      composeCommand: compose.command,
    })
    await engine.resolve(
      { services: [], profiles: [], freePorts: false, purpose: 'up' },
      () => undefined,
      AbortSignal.timeout(10_000),
    )
  }
  const apply = async (
    operation: Operation,
    signal = AbortSignal.timeout(20_000),
  ): Promise<readonly string[]> => {
    const lines: string[] = []
    await engine.apply(operation, {
      signal,
      progress: () => undefined,
      output: (line) => lines.push(line),
      emit: () => undefined,
    })
    return lines
  }

  test('Compose creates the named services, builds and pulls nothing, and is never answered for', async () => {
    await begin({ stderr: ' Container shop-api-1  Created\n' })
    expect(await apply(create)).toEqual([' Container shop-api-1  Created'])
    const { argv = [] } = (await calls()).at(-1) ?? {}
    expect(argv.slice(argv.indexOf('create'))).toEqual([
      'create',
      '--no-build',
      '--pull',
      'never',
      '--',
      'api',
    ])
    expect(argv).not.toContain('-y')
    expect(argv).toContain(join(docker.folder, 'state', 'override.yaml'))
  })

  test.each([
    [
      'Volume "shop_data" exists but doesn\'t match configuration in compose file. Recreate (data will be lost)?',
      'CONSENT_NEEDED',
      'shop_data was made',
    ],
    [
      'Error response from daemon: Bind for 127.0.0.1:80 failed: port is already allocated',
      'PORT_TAKEN',
      'port 80 is taken',
    ],
    [
      'Error response from daemon: Conflict. The container name "/the-api" is already in use by container "x".',
      'OPERATION_FAILED',
      'the container name the-api is taken',
    ],
    ['Error response from daemon: No such image: nginx:1', 'IMAGE_UNAVAILABLE', 'an image is not there'],
    ['write /var/lib/docker: no space left on device', 'DISK_FULL', 'the disk is full'],
  ])('%s', async (stderr, code, message) => {
    await begin({ stderr: `${stderr}\n`, exitCode: 1 })
    await expect(apply(create)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as unknown,
      why: expect.any(String) as unknown,
      hint: expect.any(String) as unknown,
    })
  })

  test('on abort the program and what it started end, also where they do not mind SIGTERM', async () => {
    const seconds = String(100_000 + randomInt(100_000))
    const running = (): readonly string[] =>
      execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
        .split('\n')
        .filter(
          (line) =>
            line.trim() === `sleep ${seconds}` || line.includes(join(docker.folder, 'docker-compose')),
        )
    await begin({ spawns: ['sleep', seconds] })
    const cancel = new AbortController()
    const reason = new Error('cancelled')
    const applied = apply(create, cancel.signal)
    applied.catch(() => undefined)
    await eventually(() => Promise.resolve(expect(running()).toContain(`sleep ${seconds}`)))
    cancel.abort(reason)
    await expect(applied).rejects.toBe(reason)
    await eventually(() => Promise.resolve(expect(running()).toEqual([])))
  })

  test('down finds everything by label and deletes volumes only where it is told to', async () => {
    await begin({}, 'down')
    const down = { ...create, kind: 'remove', volumes: false } as const
    await apply(down)
    await apply({ ...down, volumes: true })
    const [first, second] = (await calls()).slice(-2).map(({ argv }) => argv.slice(argv.indexOf('down')))
    expect(first).toEqual(['down', '--remove-orphans'])
    expect(second).toEqual(['down', '--remove-orphans', '--volumes'])
  })

  test('starting a service without a container says what to do', async () => {
    await begin({})
    const start: Operation = { ...create, kind: 'start', service: 'api' }
    await expect(apply(start)).rejects.toMatchObject({ code: 'SERVICE_FAILED', hint: 'devstack up api' })
  })
})
