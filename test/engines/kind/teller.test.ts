import { beforeEach, describe, expect, it } from 'vitest'
import { createGates } from '../../../src/engines/kind/gates.js'
import type { Gates } from '../../../src/engines/kind/gates.js'
import { PodTeller } from '../../../src/engines/kind/teller.js'
import type { Pod } from '../../../src/engines/kind/pods.js'
import type { EngineEvent } from '../../../src/orchestrator/ports.js'
import { ended, podOf, runs } from './pods-for-tests.js'

let gates: Gates
let teller: PodTeller
beforeEach(() => {
  // One second after the containers of these tests started.
  gates = createGates(() => Date.parse('2026-01-01T00:00:02Z'))
  teller = new PodTeller(gates, (pod, container, previous) =>
    Promise.resolve([`${pod} ${container}${previous ? ' before' : ''}`]),
  )
})

function line(event: EngineEvent): string {
  switch (event.type) {
    case 'created':
      return `created ${event.instance.id}`
    case 'started':
      return `started ${event.instance.id} ${event.instance.health}`
    case 'stopped':
      return `stopped ${event.instance} ${String(event.exitCode)}${event.oomKilled ? ' oom' : ''}${event.willRestart ? ' restarts' : ''}`
    case 'healthChanged':
      return `${event.health} ${event.instance}`
    case 'removed':
      return `removed ${event.instance}`
    case 'waiting':
      return `waiting ${event.cause ?? 'no more'}`
    default:
      return event.type
  }
}

async function hear(...pods: readonly Pod[]): Promise<readonly string[]> {
  const lines: string[] = []
  for (const pod of pods) lines.push(...(await teller.pod(pod)).map(line))
  return lines
}

describe('a pod that comes up', () => {
  it('is told once it runs, and once it is ready', async () => {
    expect(
      await hear(
        podOf(undefined, { probe: true, phase: 'Pending' }),
        podOf({ state: { waiting: { reason: 'ContainerCreating' } } }, { probe: true, phase: 'Pending' }),
        podOf({ state: runs }, { probe: true }),
        podOf({ state: runs }, { probe: true }),
        podOf({ state: runs, ready: true }, { probe: true }),
      ),
    ).toEqual(['started u1.app.0 starting', 'healthy u1.app.0'])
  })

  it('is told with what it waits for, until it waits no more', async () => {
    const unscheduled = [
      { type: 'PodScheduled', status: 'False', message: '0/1 nodes are available: 1 Insufficient memory.' },
    ]
    expect(
      await hear(
        podOf(undefined, { phase: 'Pending', conditions: unscheduled }),
        podOf(undefined, { phase: 'Pending', conditions: unscheduled }),
        podOf({ state: runs }),
      ),
    ).toEqual([
      expect.stringContaining('waiting no node has enough memory left') as unknown,
      'started u1.app.0 none',
      'waiting no more',
    ])
  })

  it('waits at its gate, and is started when that is opened', async () => {
    expect(
      await hear(podOf({ state: runs }, { gated: true }), podOf({ state: runs }, { gated: true })),
    ).toEqual(['created u1.app.0'])
    gates.opened('u1.app.0')
    expect(await hear(podOf({ state: runs }, { gated: true }))).toEqual(['started u1.app.0 none'])
  })
})

describe('a container that ends', () => {
  it('is told with its code and last lines', async () => {
    await hear(podOf({ state: runs }))
    const [event] = await teller.pod(podOf({ state: ended(7) }, { policy: 'Never', phase: 'Failed' }))
    expect(event).toEqual({
      type: 'stopped',
      service: 'app',
      instance: 'u1.app.0',
      exitCode: 7,
      oomKilled: false,
      lastLines: ['app-u1 app'],
      willRestart: false,
    })
  })

  it('of a one-shot that nobody saw running is told as started and ended', async () => {
    expect(await hear(podOf({ state: ended(0) }, { policy: 'Never', phase: 'Succeeded' }))).toEqual([
      'started u1.app.0 none',
      'stopped u1.app.0 0',
    ])
  })

  it('and is started again is another instance: its files are the image’s again', async () => {
    await hear(podOf({ state: runs }))
    expect(
      await hear(
        podOf({ state: ended(1) }),
        podOf({ restartCount: 0, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(1) }),
        podOf({ restartCount: 1, state: runs, lastState: ended(1) }),
      ),
    ).toEqual([
      'stopped u1.app.0 1 restarts',
      expect.stringContaining('waiting crash loop: app exited 1, once') as unknown,
      'started u1.app.1 none',
      'removed u1.app.0',
      'waiting no more',
    ])
  })

  it('again before anybody saw it run is the only one that there is by then: nothing else is alive', async () => {
    await hear(podOf({ state: ended(3) }))
    expect(await hear(podOf({ restartCount: 1, state: ended(3), lastState: ended(3) }))).toEqual([
      'started u1.app.1 none',
      'removed u1.app.0',
      'stopped u1.app.1 3 restarts',
    ])
  })

  it('is not gone while the next one still waits at its gate', async () => {
    await hear(podOf({ state: runs }))
    const again = podOf({ restartCount: 1, state: runs, lastState: ended(3) }, { gated: true })
    expect(await hear(again, again)).toEqual(['stopped u1.app.0 3 restarts', 'created u1.app.1'])
    gates.opened('u1.app.1')
    expect(await hear(again)).toEqual(['started u1.app.1 none', 'removed u1.app.0'])
  })

  it('unseen is told all the same, with the log of the run before', async () => {
    await hear(podOf({ state: runs }))
    const pod = podOf({ restartCount: 1, state: runs, lastState: ended(137, 'OOMKilled') })
    const events = await teller.pod(pod)
    expect(events.map(line)).toEqual([
      'stopped u1.app.0 137 oom restarts',
      'started u1.app.1 none',
      'removed u1.app.0',
    ])
    expect(events[0]).toMatchObject({ lastLines: ['app-u1 app before'] })
  })
})

describe('a probe that fails', () => {
  const warned = (pod: Pod, message: string): Pod => ({
    ...pod,
    warnings: [{ container: 'app', reason: 'Unhealthy', message, count: 3 }],
  })

  it('is why a container was killed: that is told after its last lines', async () => {
    await hear(podOf({ state: runs }))
    const [event] = await teller.pod(warned(podOf({ state: ended(137) }), 'Liveness probe failed: no answer'))
    expect(event).toMatchObject({
      lastLines: ['app-u1 app', '(killed by the cluster: its liveness probe fails: no answer)'],
    })
  })

  it('after it was ready makes it unhealthy, with what the probe said', async () => {
    await hear(podOf({ state: runs, ready: true }, { probe: true }))
    const pod = warned(podOf({ state: runs }, { probe: true }), 'Readiness probe failed: no answer')
    expect(await teller.pod(pod)).toMatchObject([
      { type: 'healthChanged', health: 'unhealthy', output: 'no answer' },
      { type: 'waiting', cause: 'not ready: its readiness probe fails: no answer' },
    ])
  })
})

describe('a pod that goes', () => {
  it.each([
    ['deleted', { deleted: true }],
    ['evicted', { phase: 'Failed', reason: 'Evicted' }],
  ] as const)('%s takes its instance along at once', async (_, options) => {
    await hear(podOf({ state: runs }))
    expect(await hear(podOf({ state: runs }, options))).toEqual(['removed u1.app.0'])
  })

  it('unseen is missed at the next list', async () => {
    await hear(podOf({ state: runs }))
    const other = podOf({ state: runs }, { uid: 'u2' })
    expect((await teller.all([other])).map(line)).toEqual(['removed u1.app.0', 'started u2.app.0 none'])
  })
})

it('a pod that was ready and is not any more is unhealthy, and healthy again when it is', async () => {
  await hear(podOf({ state: runs, ready: true }, { probe: true }))
  expect(
    await hear(
      podOf({ state: runs, ready: false }, { probe: true }),
      podOf({ state: runs, ready: false }, { probe: true }),
      podOf({ state: runs, ready: true }, { probe: true }),
    ),
  ).toEqual(['unhealthy u1.app.0', 'healthy u1.app.0'])
})

it('what is there at the beginning is no news, but for gates that are shut', () => {
  expect(teller.begin([podOf({ state: runs })]).map(line)).toEqual([])
  expect(teller.begin([podOf({ state: runs }, { uid: 'u2', gated: true })]).map(line)).toEqual([
    'created u2.app.0',
  ])
})
