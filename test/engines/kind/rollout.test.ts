import { describe, expect, it } from 'vitest'
import type { Workload } from '../../../src/core/kubernetes.js'
import type { Instance } from '../../../src/core/project.js'
import { createChannel } from '../../../src/engines/compose/channel.js'
import { createGates } from '../../../src/engines/kind/gates.js'
import type { PodFeed, PodNews } from '../../../src/engines/kind/pod-feed.js'
import type { Pod } from '../../../src/engines/kind/pods.js'
import { untilStarted } from '../../../src/engines/kind/rollout.js'
import { podOf, runs } from './pods-for-tests.js'

const workload: Workload = {
  kind: 'Deployment',
  name: 'app',
  label: 'app',
  replicas: 2,
  services: ['app'],
  containers: { app: 'app' },
  at: null,
}

/** Tells what the test says, in order. */
function start(
  first: readonly Pod[],
  level: (instance: Instance) => Promise<void> = () => Promise.resolve(),
) {
  const news = createChannel<PodNews>()
  const feed: PodFeed = {
    list: () => Promise.resolve(first),
    doubt: () => undefined,
    changes: (signal) => {
      signal.addEventListener('abort', () => news.close(), { once: true })
      return news
    },
  }
  news.push({ type: 'connected', pods: first })
  const log: string[] = []
  const gates = createGates(() => Date.parse('2026-01-01T00:00:02Z'))
  const open = (instance: Instance): Promise<void> => {
    log.push(`open ${instance.id}`)
    gates.opened(instance.id)
    return Promise.resolve()
  }
  const done = untilStarted(
    { feed, gates, open },
    { service: 'app', workload, configHash: 'config', replaced: new Set(['replaced']) },
    {
      signal: AbortSignal.timeout(5000),
      progress: ({ text }) => void (log.at(-1) === text || log.push(text)),
      output: () => undefined,
      emit: () => undefined,
      level: async (instance) => {
        log.push(`level ${instance.id}`)
        await level(instance)
      },
    },
  )
  done.catch(() => undefined)
  return { done, log, change: (pod: Pod) => news.push({ type: 'changed', pod }) }
}

const gated = (uid: string) => podOf({ state: runs }, { uid, gated: true })

describe('starting a service in a cluster', () => {
  it('lets every pod begin once it is level, each once', async () => {
    const { done, log, change } = start([gated('a')])
    change(gated('a'))
    change(gated('b'))
    await done
    expect(log.filter((line) => !line.startsWith('its pod'))).toEqual([
      'level a.app.0',
      'open a.app.0',
      'level b.app.0',
      'open b.app.0',
    ])
  })

  it('does not count pods of an older template, or such as are going', async () => {
    const { done, log, change } = start([
      podOf({ state: runs }, { uid: 'old', configHash: 'older' }),
      podOf({ state: runs }, { uid: 'going', deleted: true }),
      podOf({ state: runs }, { uid: 'a' }),
    ])
    let over = false
    void done.then(() => (over = true))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(over).toBe(false)
    change(podOf({ state: runs }, { uid: 'b' }))
    await done
    expect(log.some((line) => line.startsWith('open'))).toBe(false)
  })

  it('fails with what Kubernetes says where a pod will not start', async () => {
    const { done } = start([
      podOf({ state: { waiting: { reason: 'ErrImageNeverPull' } } }, { uid: 'a', phase: 'Pending' }),
    ])
    await expect(done).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      message: 'app cannot start',
      why: 'the image app:wanted is not on the node',
    })
  })

  it('does not fail for one that was just deleted so that its image can come', async () => {
    const lacking = podOf(
      { state: { waiting: { reason: 'ErrImageNeverPull' } } },
      { uid: 'replaced', phase: 'Pending' },
    )
    const { done, change } = start([lacking, podOf({ state: runs }, { uid: 'a' })])
    await new Promise((resolve) => setTimeout(resolve, 20))
    change(podOf({ state: runs }, { uid: 'b' }))
    await expect(done).resolves.toBeUndefined()
  })

  it('fails where its files cannot be delivered', async () => {
    const { done } = start([gated('a')], () => Promise.reject(new Error('no room')))
    await expect(done).rejects.toThrow('no room')
  })
})
