import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createPodFeed } from '../../../src/engines/kind/pod-feed.js'
import type { PodFeed, PodNews } from '../../../src/engines/kind/pod-feed.js'
import { eventually } from '../../contract/eventually.js'
import { FakePods, pod } from './fake-pods.js'

describe('the pods of a stack', () => {
  let kube: FakePods
  let stop: AbortController
  let wake: () => void
  let listeners: number
  let feed: PodFeed

  const make = (silentMs?: number): PodFeed => {
    const wakes = {
      onWake: (tell: () => void) => {
        wake = tell
        listeners++
        return () => void listeners--
      },
    }
    return createPodFeed(kube, {
      labelSelector: 'devstack.dev/project=shop',
      wakes,
      ...(silentMs === undefined ? {} : { silentMs }),
    })
  }

  beforeEach(() => {
    kube = new FakePods()
    stop = new AbortController()
    listeners = 0
    feed = make()
  })
  afterEach(() => stop.abort())

  const follow = (signal = stop.signal): { readonly news: string[]; readonly ended: Promise<void> } => {
    const news: string[] = []
    const ended = (async () => {
      for await (const item of feed.changes(signal)) news.push(format(item))
    })()
    return { news, ended }
  }
  const seen = async (news: readonly string[], wanted: readonly string[]): Promise<void> =>
    await eventually(() => Promise.resolve(expect(news).toEqual(wanted)))
  const lists = (): number => kube.asked.filter((text) => text.startsWith('list')).length

  test('all that are there come first, then each change', async () => {
    kube.put(api())
    const { news } = follow()
    await seen(news, ['connected api'])
    kube.put(pod({ name: 'web', containers: { web: {} } }))
    kube.remove('api')
    await seen(news, ['connected api', 'changed web', 'removed api'])
    expect(kube.asked).toEqual(['list /api/v1/namespaces/shop/pods devstack.dev/project=shop', 'watch 2'])
  })

  test('however many follow, there is one list and one watch; who comes later has all at once', async () => {
    kube.put(api())
    const first = follow()
    await seen(first.news, ['connected api'])
    const second = follow()
    kube.put(pod({ name: 'web', containers: { web: {} } }))
    await seen(second.news, ['connected api', 'changed web'])
    expect(kube.watching).toBe(1)
    expect(kube.asked).toHaveLength(2)
  })

  test('a doubt has them listed anew, and tells that the server is away where it is', async () => {
    kube.put(api())
    const { news } = follow()
    await seen(news, ['connected api'])
    kube.muteWatches()
    kube.away = true
    feed.doubt()
    await eventually(() => Promise.resolve(expect(news.at(-1)).toMatch(/^lost/)))
    kube.away = false
    await eventually(() => Promise.resolve(expect(news.at(-1)).toBe('connected api')))
  })

  test('the last who leaves ends the watch and what listens to the clock', async () => {
    const one = new AbortController()
    const first = follow(one.signal)
    const second = follow()
    await seen(second.news, ['connected '])
    one.abort()
    await first.ended
    expect(kube.watching).toBe(1)
    stop.abort()
    await second.ended
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(0)))
    expect(listeners).toBe(0)
  })

  test('a watch that the server ends is gone on with where it stopped, unseen and without a list', async () => {
    const { news } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.put(api())
    kube.endWatches()
    kube.put(pod({ name: 'web', containers: { web: {} } }))
    await seen(news, ['connected ', 'changed api', 'changed web'])
    expect(lists()).toBe(1)
  })

  test('a bookmark moves the place to go on from', async () => {
    const { news } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.version = 90
    kube.oldest = 90
    kube.bookmark()
    kube.endWatches()
    await eventually(() => Promise.resolve(expect(kube.asked.at(-1)).toBe('watch 90')))
    expect(lists()).toBe(1)
  })

  test('a version that is too old is listed anew, and what changed meanwhile is told one by one', async () => {
    kube.put(api())
    kube.put(pod({ name: 'old', containers: { old: {} } }))
    const { news } = follow()
    await seen(news, ['connected api old'])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.muteWatches()
    kube.remove('old')
    kube.put(pod({ name: 'web', containers: { web: {} } }))
    kube.oldest = kube.version
    wake()
    await seen(news, ['connected api old', 'removed old', 'changed web', 'connected api web'])
  })

  test('a watch refused with 410 is listed anew and never called lost', async () => {
    const { news } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.version = 50
    kube.oldest = 50
    kube.endWatches()
    await seen(news, ['connected ', 'connected '])
    await eventually(() => Promise.resolve(expect(kube.asked.at(-1)).toBe('watch 50')))
  })

  test('a server that goes is told once, and its return with what is there then', async () => {
    kube.put(api())
    const { news } = follow()
    await seen(news, ['connected api'])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.away = true
    kube.breakWatches()
    await seen(news, ['connected api', 'lost the cluster does not answer'])
    await eventually(() => Promise.resolve(expect(lists()).toBeGreaterThan(3)))
    const late = follow()
    await seen(late.news, ['lost the cluster does not answer'])
    kube.away = false
    kube.remove('api')
    await seen(news, ['connected api', 'lost the cluster does not answer', 'removed api', 'connected '])
    await seen(late.news, ['lost the cluster does not answer', 'removed api', 'connected '])
  })

  test('a broken watch of a server that is there is no loss', async () => {
    const { news } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.breakWatches()
    await seen(news, ['connected ', 'connected '])
  })

  test('a watch without a word is taken for dead; a bookmark is a word', async () => {
    feed = make(300)
    const { news } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.muteWatches()
    kube.put(api())
    await seen(news, ['connected ', 'changed api', 'connected api'])
  })

  test('after the machine woke everything is looked at again', async () => {
    const { news } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    wake()
    await seen(news, ['connected ', 'connected '])
  })

  test('at rest nothing is asked', async () => {
    vi.useFakeTimers()
    try {
      const { news } = follow()
      await vi.waitFor(() => expect(kube.watching).toBe(1))
      for (let minute = 0; minute < 60; minute++) {
        await vi.advanceTimersByTimeAsync(60_000)
        kube.bookmark()
        await vi.advanceTimersByTimeAsync(0)
      }
      expect(news).toEqual(['connected '])
      expect(kube.asked).toHaveLength(2)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a fault of the program is not taken for a server that is away', async () => {
    const { news, ended } = follow()
    await seen(news, ['connected '])
    await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
    kube.breakWatches(new TypeError('x is not a function'))
    await expect(ended).rejects.toThrow('x is not a function')
  })
})

function api() {
  return pod({ name: 'api', containers: { api: {} } })
}

function format(item: PodNews): string {
  switch (item.type) {
    case 'connected':
      return `connected ${item.pods.map(({ metadata }) => metadata.name).join(' ')}`
    case 'lost':
      return `lost ${item.cause}`
    case 'changed':
    case 'removed':
      return `${item.type} ${item.pod.metadata.name}`
  }
}
