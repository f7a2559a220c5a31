import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDocker } from '../../../src/engines/compose/docker.js'
import { readEvents } from '../../../src/engines/compose/events.js'
import { watchContainers } from '../../../src/engines/compose/event-stream.js'
import type { EngineEvent } from '../../../src/orchestrator/ports.js'
import { eventually } from '../../contract/eventually.js'
import { startFakeDocker } from './fake-docker.js'
import type { FakeDocker } from './fake-docker.js'

describe('events', () => {
  let docker: FakeDocker
  let stop: AbortController
  let streams: ServerResponse[]
  let seen: EngineEvent[]
  let reading: Promise<void>

  beforeEach(async () => {
    docker = await startFakeDocker()
    streams = []
    docker.answers['/events'] = (response: ServerResponse) => {
      streams.push(response)
      response.flushHeaders()
    }
    docker.answers['/containers/c1/json'] = container(7)
    docker.answers['/containers/c1/logs'] = (response: ServerResponse) =>
      response.end(frame('bye\u001b[2J\n'))
    stop = new AbortController()
    seen = []
    const client = createDocker(docker.endpoint)
    const events = readEvents(client, 'shop', stop.signal, watchContainers(client, 'shop', stop.signal))
    reading = (async () => {
      for await (const event of events) seen.push(event)
    })()
    await eventually(() => Promise.resolve(expect(streams).toHaveLength(1)))
  })
  afterEach(async () => {
    stop.abort()
    await reading
    await docker.dispose()
  })

  const send = (action: string, more: Readonly<Record<string, string>> = {}, timeNano = 1.7e18): void => {
    const attributes = { 'com.docker.compose.service': 'api', ...more }
    streams
      .at(-1)
      ?.write(
        `${JSON.stringify({ Action: action, timeNano, Actor: { ID: 'c1', Attributes: attributes } })}\n`,
      )
  }
  const types = (): readonly string[] => seen.map(({ type }) => type)

  test('connected comes first, and only container events of the project are asked for', async () => {
    await eventually(() => Promise.resolve(expect(types()).toEqual(['connected'])))
    const [path = ''] = docker.asked
    expect(JSON.parse(new URL(path, 'http://x').searchParams.get('filters') ?? '')).toMatchObject({
      label: ['com.docker.compose.project=shop'],
      type: ['container'],
    })
  })

  test('an end comes with exit code and clean last lines; memory kills are named', async () => {
    send('oom')
    send('die', { exitCode: '137' })
    await eventually(() => Promise.resolve(expect(types()).toContain('stopped')))
    expect(seen.at(-1)).toEqual({
      type: 'stopped',
      service: 'api',
      instance: 'c1',
      exitCode: 137,
      oomKilled: true,
      lastLines: ['bye'],
      willRestart: false,
    })
  })

  test('healthy needs no further question; unhealthy brings the check’s output', async () => {
    docker.asked.length = 0
    send('health_status: healthy')
    await eventually(() => Promise.resolve(expect(types()).toContain('healthChanged')))
    expect(docker.asked).toEqual([])
    send('health_status: unhealthy')
    await eventually(() => Promise.resolve(expect(seen.at(-1)).toMatchObject({ health: 'unhealthy' })))
    expect(seen.at(-1)).toMatchObject({ output: 'no\ufffd' })
  })

  test('what a `run` container does is nobody’s concern', async () => {
    send('die', { 'com.docker.compose.oneoff': 'True', exitCode: '1' })
    send('destroy')
    await eventually(() => Promise.resolve(expect(types()).toEqual(['connected', 'removed'])))
  })

  test('a broken stream is opened again from the last event on', async () => {
    send('destroy', {}, 1_700_000_000_123_456_000)
    await eventually(() => Promise.resolve(expect(types()).toContain('removed')))
    streams.at(-1)?.destroy()
    await eventually(() => Promise.resolve(expect(streams).toHaveLength(2)))
    await eventually(() => Promise.resolve(expect(types()).toEqual(['connected', 'removed', 'connected'])))
    const since = new URL(docker.asked.at(-1) ?? '', 'http://x').searchParams.get('since')
    expect(since).toBe('1700000000.123457000')
  })

  test('an engine that is away is told once, and found again', async () => {
    await docker.stop()
    await eventually(() => Promise.resolve(expect(types()).toEqual(['connected', 'lost'])))
    await docker.start()
    await eventually(() => Promise.resolve(expect(types()).toEqual(['connected', 'lost', 'connected'])))
  })
})

function container(exitCode: number) {
  return {
    Id: 'c1',
    Name: '/shop-api-1',
    Image: 'sha256:a',
    RestartCount: 0,
    State: {
      Status: 'exited',
      Running: false,
      Restarting: false,
      OOMKilled: false,
      ExitCode: exitCode,
      StartedAt: '2026-01-02T03:04:05Z',
      Health: { Status: 'unhealthy', Log: [{ Output: 'old' }, { Output: 'no\ufffd\u001b[0m\n' }] },
    },
    Config: { Image: 'a', User: '', Tty: false, Labels: { 'com.docker.compose.service': 'api' } },
    HostConfig: { RestartPolicy: { Name: 'no' } },
    Mounts: [],
  }
}

function frame(text: string): Buffer {
  const bytes = Buffer.from(text)
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}
