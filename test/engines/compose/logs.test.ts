import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDocker } from '../../../src/engines/compose/docker.js'
import { readLogs } from '../../../src/engines/compose/logs.js'
import type { LogRecord, LogRequest } from '../../../src/orchestrator/ports.js'
import { eventually } from '../../contract/eventually.js'
import { startFakeDocker } from './fake-docker.js'
import type { FakeDocker } from './fake-docker.js'

interface Line {
  readonly at: string
  readonly text: string
}

/** Nanoseconds of a second, so that lines can share one or lie within one. */
const at = (nanos: number): string => `2026-01-02T03:04:05.${String(nanos).padStart(9, '0')}Z`

describe('logs', () => {
  let docker: FakeDocker
  let stop: AbortController
  let lines: Line[]
  let open: ServerResponse[]
  let seen: LogRecord[]

  beforeEach(async () => {
    docker = await startFakeDocker()
    stop = new AbortController()
    lines = []
    open = []
    seen = []
    docker.answers['/events'] = (response: ServerResponse) => response.flushHeaders()
    docker.answers['/containers/json'] = [
      { Id: 'c1', Names: ['/shop-api-1'], State: 'running', Labels: labels, Ports: [] },
    ]
    docker.answers['/containers/c1/json'] = { Config: { Tty: false } }
    // As the engine does: what is there from `since` on, then what comes.
    docker.answers['/containers/c1/logs'] = (response: ServerResponse, path: string) => {
      const query = new URL(path, 'http://x').searchParams
      const since = query.get('since') ?? '0'
      const from = since === '0' ? '' : at(Number(since.split('.')[1]))
      const past = lines.filter((line) => line.at >= from)
      for (const line of past) response.write(frame(line))
      if (query.get('follow') === 'true') open.push(response)
      else response.end()
      response.flushHeaders()
    }
  })
  afterEach(async () => {
    stop.abort()
    await docker.dispose()
  })

  const follow = (request: Partial<LogRequest> = {}): Promise<void> => {
    const whole = { services: [], follow: true, since: null, tail: null, ...request }
    const records = readLogs(createDocker(docker.endpoint), 'shop', whole, stop.signal)
    return (async () => {
      for await (const record of records) seen.push(record)
    })()
  }
  const print = (line: Line): void => {
    lines.push(line)
    open.at(-1)?.write(frame(line))
  }
  const texts = (): readonly string[] => seen.map(({ text }) => text)
  const expectTexts = async (wanted: readonly string[]): Promise<void> =>
    await eventually(() => Promise.resolve(expect(texts()).toEqual(wanted)))

  test('without follow it ends by itself', async () => {
    lines.push({ at: at(1), text: 'one' }, { at: at(2), text: 'two' })
    await follow({ follow: false })
    expect(seen).toEqual([
      { service: 'api', instance: 'c1', at: at(1), stream: 'stdout', text: 'one' },
      { service: 'api', instance: 'c1', at: at(2), stream: 'stdout', text: 'two' },
    ])
  })

  test('after an engine restart nothing is lost and nothing doubled, also of lines that share their time', async () => {
    const reading = follow()
    await eventually(() => Promise.resolve(expect(open).toHaveLength(1)))
    print({ at: at(1), text: 'one' })
    print({ at: at(2), text: 'two a' })
    print({ at: at(2), text: 'two b' })
    await expectTexts(['one', 'two a', 'two b'])
    await docker.stop()
    open = []
    lines.push({ at: at(2), text: 'two c' }, { at: at(3), text: 'while away' })
    await docker.start()
    await eventually(() => Promise.resolve(expect(open).toHaveLength(1)))
    print({ at: at(4), text: 'after' })
    await expectTexts(['one', 'two a', 'two b', 'two c', 'while away', 'after'])
    stop.abort()
    await reading
  })

  test('times that run backwards in the log are not doubled after a lost connection', async () => {
    const reading = follow()
    await eventually(() => Promise.resolve(expect(open).toHaveLength(1)))
    print({ at: at(1), text: 'one' })
    print({ at: at(3), text: 'three' })
    print({ at: at(2), text: 'two' })
    await expectTexts(['one', 'three', 'two'])
    await docker.stop()
    open = []
    await docker.start()
    await eventually(() => Promise.resolve(expect(open).toHaveLength(1)))
    print({ at: at(4), text: 'after' })
    await expectTexts(['one', 'three', 'two', 'after'])
    stop.abort()
    await reading
  })

  test('who leaves the loop ends the reading', async () => {
    lines.push({ at: at(1), text: 'one' })
    const request = { services: [], follow: true, since: null, tail: null }
    for await (const record of readLogs(createDocker(docker.endpoint), 'shop', request, stop.signal)) {
      expect(record.text).toBe('one')
      break
    }
    await eventually(() => Promise.resolve(expect(open.every(({ destroyed }) => destroyed)).toBe(true)))
  })

  test('only the services that are asked for are read', async () => {
    lines.push({ at: at(1), text: 'one' })
    await follow({ follow: false, services: ['other'] })
    expect(seen).toEqual([])
  })
})

const labels = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'api' }

function frame({ at: time, text }: Line): Buffer {
  const bytes = Buffer.from(`${time} ${text}\n`)
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}
