import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPodFeed } from '../../../../src/engines/kind/pod-feed.js'
import { lastLines } from '../../../../src/engines/kind/logs/last-lines.js'
import { readLogs } from '../../../../src/engines/kind/logs/logs.js'
import type { LogRecord, LogRequest } from '../../../../src/orchestrator/ports.js'
import { eventually } from '../../../contract/eventually.js'
import { FakePods, pod, running, terminated, waiting } from '../fake-pods.js'
import type { PodText } from '../fake-pods.js'

/** A time of day in milliseconds, as the kubelet writes it. */
const at = (ms: number): string => `${new Date(Date.UTC(2026, 0, 2) + ms).toISOString().slice(0, -1)}000000Z`

describe('the logs of pods', () => {
  let kube: FakePods
  let stop: AbortController
  let seen: LogRecord[]

  beforeEach(() => {
    kube = new FakePods()
    stop = new AbortController()
    seen = []
  })
  afterEach(() => stop.abort())

  const read = (request: Partial<LogRequest> = {}): Promise<void> => {
    const feed = createPodFeed(kube, { labelSelector: 'x', wakes: { onWake: () => () => undefined } })
    const whole = { services: [], follow: true, since: null, tail: null, ...request }
    const records = readLogs(kube, feed, whole, stop.signal)
    return (async () => {
      for await (const record of records) seen.push(record)
    })()
  }
  const once = async (request: Partial<LogRequest> = {}): Promise<void> =>
    await read({ follow: false, ...request })
  const put = (containers: PodText['containers'], init: PodText['init'] = {}): void =>
    kube.put(pod({ name: 'api-1', containers, init }))
  const print = (run: number, ms: number, text: string): void =>
    kube.log('api-1', 'api').print(run, at(ms), text)
  const texts = (): readonly string[] => seen.map(({ instance, text }) => `${instance.slice(4)}: ${text}`)
  const expectTexts = async (wanted: readonly string[]): Promise<void> =>
    await eventually(() => Promise.resolve(expect(texts()).toEqual(wanted)))
  const followed = async (): Promise<void> =>
    await eventually(() => Promise.resolve(expect(kube.log('api-1', 'api').readers).toBe(1)))

  test('without follow it ends by itself; each line has its service, instance and time', async () => {
    put({ api: { service: 'shop-api' } })
    print(0, 1, 'one')
    print(0, 2, '')
    await once()
    expect(seen).toEqual([
      { service: 'shop-api', instance: 'uid-api-1.api.0', at: at(1), stream: 'stdout', text: 'one' },
      { service: 'shop-api', instance: 'uid-api-1.api.0', at: at(2), stream: 'stdout', text: '' },
    ])
  })

  test('the previous run of a restarted container comes first, as an instance of its own', async () => {
    put({ api: { restartCount: 2, state: running, lastState: terminated } })
    print(1, 1, 'crash')
    print(2, 2, 'again')
    await once()
    expect(texts()).toEqual(['api-1.api.1: crash', 'api-1.api.2: again'])
  })

  test('in CrashLoopBackOff the last run is read once, though it is given with previous and without', async () => {
    put({ api: { restartCount: 2, state: waiting, lastState: terminated } })
    print(1, 1, 'before')
    print(2, 2, 'crash')
    await once()
    expect(texts()).toEqual(['api-1.api.2: crash'])
  })

  test('init containers belong to the first service of their pod; containers that wait for their image have no log', async () => {
    put(
      { api: { state: { waiting: { reason: 'PodInitializing' } } }, nginx: { state: waiting } },
      { migrate: { state: terminated } },
    )
    kube.log('api-1', 'migrate').print(0, at(1), 'head')
    await once()
    expect(seen.map(({ service, text }) => `${service}: ${text}`)).toEqual(['api: head'])
    expect(kube.asked.filter((text) => text.startsWith('logs'))).toHaveLength(1)
  })

  test('only the asked services are read', async () => {
    put({ api: {}, nginx: {} })
    print(0, 1, 'one')
    kube.log('api-1', 'nginx').print(0, at(1), 'GET /')
    await once({ services: ['nginx'] })
    expect(texts()).toEqual(['api-1.nginx.0: GET /'])
  })

  test('since is kept to the millisecond, though the server cuts it to seconds', async () => {
    put({ api: {} })
    for (const ms of [900, 1100, 1500, 1600]) print(0, ms, String(ms))
    await once({ since: Date.UTC(2026, 0, 2) / 1000 + 1.5 })
    expect(texts()).toEqual(['api-1.api.0: 1500', 'api-1.api.0: 1600'])
  })

  test('tail holds for each run; pods that come later are read whole', async () => {
    put({ api: { restartCount: 1, lastState: terminated } })
    for (const [run, ms] of [
      [0, 1],
      [0, 2],
      [1, 3],
      [1, 4],
    ] as const)
      print(run, ms, String(ms))
    const reading = read({ tail: 1 })
    await expectTexts(['api-1.api.0: 2', 'api-1.api.1: 4'])
    kube.log('api-2', 'api').print(0, at(5), '5')
    kube.log('api-2', 'api').print(0, at(6), '6')
    kube.put(pod({ name: 'api-2', containers: { api: {} } }))
    await expectTexts(['api-1.api.0: 2', 'api-1.api.1: 4', 'api-2.api.0: 5', 'api-2.api.0: 6'])
    stop.abort()
    await reading
  })

  test('a container that has not begun yet is read when it has', async () => {
    put({ api: { state: waiting } })
    void read()
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    expect(kube.asked.some((text) => text.startsWith('logs'))).toBe(false)
    print(0, 1, 'one')
    put({ api: {} })
    await expectTexts(['api-1.api.0: one'])
  })

  test('after a broken stream nothing is lost and nothing doubled, also of lines that share their time', async () => {
    put({ api: {} })
    void read()
    await followed()
    for (const text of ['a', 'b', 'c']) print(0, 1, text)
    print(0, 2, 'd')
    await expectTexts(['a', 'b', 'c', 'd'].map((text) => `api-1.api.0: ${text}`))
    kube.log('api-1', 'api').cut()
    kube.log('api-1', 'api').printUnheard(0, at(2), 'e')
    await followed()
    print(0, 3, 'f')
    await expectTexts(['a', 'b', 'c', 'd', 'e', 'f'].map((text) => `api-1.api.0: ${text}`))
  })

  test('times that run backwards by moments are neither lost nor doubled', async () => {
    put({ api: {} })
    void read()
    await followed()
    for (const ms of [10, 30, 20, 50, 40]) print(0, ms, String(ms))
    await eventually(() => Promise.resolve(expect(seen).toHaveLength(5)))
    kube.log('api-1', 'api').cut()
    for (const ms of [45, 60]) kube.log('api-1', 'api').printUnheard(0, at(ms), String(ms))
    await expectTexts(['10', '30', '20', '50', '40', '45', '60'].map((text) => `api-1.api.0: ${text}`))
  })

  test('more lines in one second than are remembered: none is doubled', async () => {
    put({ api: {} })
    void read()
    await followed()
    const moment = (index: number): string => `2026-01-02T00:00:00.${String(index).padStart(9, '0')}Z`
    for (let index = 0; index < 5000; index++) kube.log('api-1', 'api').print(0, moment(index), String(index))
    await eventually(() => Promise.resolve(expect(seen).toHaveLength(5000)))
    kube.log('api-1', 'api').cut()
    kube.log('api-1', 'api').printUnheard(0, moment(5000), '5000')
    await eventually(() => Promise.resolve(expect(seen.at(-1)?.text).toBe('5000')))
    expect(seen.map(({ text }) => Number(text))).toEqual(Array.from({ length: 5001 }, (_, index) => index))
  })

  test('an API server that was away: the lines of that time come after its return', async () => {
    put({ api: {} })
    void read()
    await followed()
    print(0, 1, 'one')
    await expectTexts(['api-1.api.0: one'])
    kube.away = true
    kube.breakWatches()
    kube.log('api-1', 'api').cut()
    kube.log('api-1', 'api').printUnheard(0, at(5000), 'two')
    await eventually(() => Promise.resolve(expect(kube.asked.length).toBeGreaterThan(6)))
    kube.away = false
    await expectTexts(['api-1.api.0: one', 'api-1.api.0: two'])
  })

  test('a run that ended while its stream was broken is read to its end before the next one', async () => {
    put({ api: {} })
    void read()
    await followed()
    print(0, 1, 'one')
    await expectTexts(['api-1.api.0: one'])
    kube.log('api-1', 'api').cut()
    kube.log('api-1', 'api').printUnheard(0, at(2), 'the last words')
    kube.log('api-1', 'api').printUnheard(1, at(3), 'again')
    put({ api: { restartCount: 1, lastState: terminated } })
    await expectTexts(['api-1.api.0: one', 'api-1.api.0: the last words', 'api-1.api.1: again'])
  })

  test('a stream that ended quietly before its container did is read again to the end', async () => {
    put({ api: {} })
    void read()
    await followed()
    print(0, 1, 'one')
    await expectTexts(['api-1.api.0: one'])
    kube.log('api-1', 'api').end()
    kube.log('api-1', 'api').print(0, at(2), 'no newline at its end', true)
    put({ api: { state: terminated } })
    await expectTexts(['api-1.api.0: one', 'api-1.api.0: no newline at its end'])
    const asked = kube.asked.length
    put({ api: { state: terminated } })
    await eventually(() => Promise.resolve(expect(kube.asked.length).toBe(asked)))
  })

  test('a pod that is removed gives its last lines', async () => {
    put({ api: {} })
    const reading = read()
    await followed()
    kube.remove('api-1')
    print(0, 1, 'terminating')
    await expectTexts(['api-1.api.0: terminating'])
    kube.log('api-1', 'api').end()
    stop.abort()
    await reading
  })

  test('a log that was rotated away while nobody read: it is said where lines are missing', async () => {
    put({ api: {} })
    void read()
    await followed()
    print(0, 1, 'one')
    await expectTexts(['api-1.api.0: one'])
    kube.log('api-1', 'api').cut()
    kube.log('api-1', 'api').rotate(0)
    kube.log('api-1', 'api').printUnheard(0, at(2), 'three')
    await eventually(() => Promise.resolve(expect(seen).toHaveLength(3)))
    expect(texts()[1]).toMatch(/lines are missing here: the node rotated the log/)
    expect(texts()[2]).toBe('api-1.api.0: three')
  })

  test('hostile lines are made harmless, and the longest does not fill the memory', async () => {
    put({ api: {} })
    print(0, 1, '\u001b[2Jred\u001b[31m alert\u0007')
    kube.log('api-1', 'api').print(0, at(2), 'ü'.repeat(150_000))
    await once()
    expect(seen[0]?.text).toBe('red alert')
    const parts = seen.slice(1)
    expect(Math.max(...parts.map(({ text }) => text.length))).toBeLessThanOrEqual(16 * 1024)
    expect(parts.map(({ text }) => text).join('')).toBe('ü'.repeat(150_000))
    expect(new Set(parts.map((part) => part.at))).toEqual(new Set([at(2)]))
  })

  test('a refused log is no failure of the others', async () => {
    put({ api: {}, nginx: {} })
    kube.log('api-1', 'nginx').print(0, at(1), 'GET /')
    await once()
    expect(texts()).toEqual(['api-1.nginx.0: GET /'])
  })

  test('without follow a server that is away is an error', async () => {
    put({ api: {} })
    kube.away = true
    await expect(once()).rejects.toMatchObject({ code: 'ENGINE_GONE' })
  })

  test('the last lines of a run, sanitised; none where there is no log', async () => {
    put({ api: { restartCount: 1, lastState: terminated } })
    for (const ms of [1, 2, 3]) print(0, ms, `\u001b[31m${String(ms)}`)
    expect(await lastLines(kube, 'api-1', 'api', true, 2, stop.signal)).toEqual(['2', '3'])
    expect(await lastLines(kube, 'api-1', 'web', true, 2, stop.signal)).toEqual([])
  })
})
