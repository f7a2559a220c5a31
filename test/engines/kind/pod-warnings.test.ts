import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPodFeed } from '../../../src/engines/kind/pod-feed.js'
import { createPodWarnings } from '../../../src/engines/kind/pod-warnings.js'
import type { PodWarnings } from '../../../src/engines/kind/pod-warnings.js'
import type { Pod } from '../../../src/engines/kind/pods.js'
import { eventually } from '../../contract/eventually.js'
import { FakePods, pod } from './fake-pods.js'

/** A warning as the API has it. */
function event(uid: string, message: string, count: number, reason = 'Unhealthy'): Pod {
  const object = {
    metadata: { name: `${uid}.${reason}.${message.slice(0, 4)}` },
    involvedObject: { uid, fieldPath: 'spec.containers{api}' },
    reason,
    message,
    count,
  }
  return object as unknown as Pod
}

const failure = 'Readiness probe failed: no answer\n'

describe('warnings about pods', () => {
  /** The namespace's events, in the place of its pods. */
  let events: FakePods
  let warnings: PodWarnings
  let stop: AbortController
  beforeEach(() => {
    events = new FakePods()
    warnings = createPodWarnings(events)
    stop = new AbortController()
  })
  afterEach(() => stop.abort())

  test('that are there and that come are told by pod; of each sort the newest is kept', async () => {
    const told: string[] = []
    events.put(event('u1', failure, 1))
    void warnings.follow((uid) => told.push(uid), stop.signal)
    await eventually(() => Promise.resolve(expect(told).toEqual(['u1'])))
    events.put(event('u1', failure, 2))
    events.put(event('u1', 'Liveness probe failed: dead', 1))
    await eventually(() => Promise.resolve(expect(told).toEqual(['u1', 'u1', 'u1'])))
    expect(warnings.of('u1')).toEqual([
      { container: 'api', reason: 'Unhealthy', message: 'Readiness probe failed: no answer', count: 2 },
      { container: 'api', reason: 'Unhealthy', message: 'Liveness probe failed: dead', count: 1 },
    ])
    expect(events.asked[0]).toBe('list /api/v1/namespaces/shop/events ')
    warnings.forget('u1')
    expect(warnings.of('u1')).toEqual([])
  })

  test('make a pod count as changed, and stay with it while it changes', async () => {
    const kube = new FakePods()
    const feed = createPodFeed(kube, {
      labelSelector: 'x',
      wakes: { onWake: () => () => undefined },
      warnings,
    })
    const seen: string[] = []
    kube.put(pod({ name: 'api', uid: 'u1', containers: { api: {} } }))
    const follow = async (): Promise<void> => {
      for await (const news of feed.changes(stop.signal))
        if (news.type === 'changed')
          seen.push(`${news.pod.metadata.name} ${String(news.pod.warnings?.[0]?.count ?? 0)}`)
    }
    void follow()
    await eventually(() => Promise.resolve(expect(events.watching).toBe(1)))
    events.put(event('u1', failure, 3))
    await eventually(() => Promise.resolve(expect(seen).toEqual(['api 3'])))
    kube.put(pod({ name: 'api', uid: 'u1', ready: false, containers: { api: {} } }))
    await eventually(() => Promise.resolve(expect(seen).toEqual(['api 3', 'api 3'])))
    stop.abort()
    await eventually(() => Promise.resolve(expect(events.watching).toBe(0)))
  })

  test('are done without where the cluster does not answer', async () => {
    events.away = true
    const following = warnings.follow(() => undefined, stop.signal)
    await eventually(() => Promise.resolve(expect(events.asked).toHaveLength(1)))
    stop.abort()
    await following
    expect(warnings.of('u1')).toEqual([])
  })
})
