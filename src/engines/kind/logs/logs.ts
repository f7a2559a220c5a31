import { DevstackError } from '../../../core/error.js'
import type { LogRecord, LogRequest } from '../../../orchestrator/ports.js'
import { produce } from '../../compose/channel.js'
import type { Channel } from '../../compose/channel.js'
import type { Kube } from '../kube-ports.js'
import type { PodFeed, PodNews } from '../pod-feed.js'
import type { ContainerStatus, Pod } from '../pods.js'
import { createContainerLog } from './container-log.js'
import type { ContainerLog } from './container-log.js'
import { followContainer } from './follow-container.js'
import type { ContainerFollower } from './follow-container.js'
import { loggedContainers, runsOf, serviceOf } from './runs.js'

/**
 * The lines of all containers of the stack's pods, of each the previous run first; with `follow` also of pods that come
 * later, and on after a lost connection.
 */
export function readLogs(
  kube: Kube,
  feed: PodFeed,
  request: LogRequest,
  signal: AbortSignal,
): AsyncIterable<LogRecord> {
  return produce(signal, (channel, stop) => {
    const logs = new StackLogs(kube, request, channel, stop)
    return request.follow ? logs.follow(feed.changes(stop)) : logs.readOnce(feed)
  })
}

class StackLogs {
  private readonly followers = new Map<string, ContainerFollower>()

  constructor(
    private readonly kube: Kube,
    private readonly request: LogRequest,
    private readonly channel: Channel<LogRecord>,
    private readonly signal: AbortSignal,
  ) {}

  async readOnce(feed: PodFeed): Promise<void> {
    const pods = await feed.list(this.signal)
    const readings = pods.flatMap((pod) =>
      this.wanted(pod).map((status) => this.readRuns(pod, status, this.request.tail)),
    )
    await Promise.all(readings)
  }

  async follow(news: AsyncIterable<PodNews>): Promise<void> {
    let begun = false
    for await (const item of news) {
      switch (item.type) {
        case 'connected':
          // What is new while we follow is read whole.
          for (const pod of item.pods) this.update(pod, begun ? null : this.request.tail)
          for (const follower of this.followers.values()) follower.poke()
          begun = true
          break
        case 'changed':
          this.update(item.pod, null)
          break
        case 'removed':
          this.update(item.pod, null)
          for (const { name } of loggedContainers(item.pod)) this.followers.get(keyOf(item.pod, name))?.gone()
          break
        case 'lost':
          break
      }
    }
  }

  private async readRuns(pod: Pod, status: ContainerStatus, tail: number | null): Promise<void> {
    const log = this.open(pod, status.name, tail)
    const { previous, current } = runsOf(status)
    const read = async (run: number, isPrevious: boolean, ended: boolean): Promise<void> => {
      const result = await log.read({ run, previous: isPrevious, follow: false, ended }, this.signal)
      if (result !== 'broken') return
      const what = `the log of ${serviceOf(pod, status.name)}`
      throw new DevstackError('ENGINE_GONE', `the cluster did not give ${what} whole`, {
        hint: 'try again; devstack doctor looks at the cluster',
      })
    }
    if (previous !== null) await read(previous, true, true)
    if (current !== null) await read(current.run, false, current.ended)
  }

  private update(pod: Pod, tail: number | null): void {
    for (const status of this.wanted(pod)) {
      const key = keyOf(pod, status.name)
      const runs = runsOf(status)
      let follower = this.followers.get(key)
      if (follower === undefined) {
        if (runs.current === null) continue
        follower = followContainer(this.open(pod, status.name, tail), this.signal)
        this.followers.set(key, follower)
        follower.ended.then(
          () => this.followers.delete(key),
          (error: unknown) => this.channel.fail(error),
        )
      }
      follower.update(runs)
    }
  }

  private open(pod: Pod, container: string, tail: number | null): ContainerLog {
    const { name, uid = '' } = pod.metadata
    const source = { pod: name, uid, container, service: serviceOf(pod, container) }
    const { since } = this.request
    const from = since === null ? null : new Date(since * 1000).toISOString().replace('Z', '000000Z')
    return createContainerLog(this.kube, source, { since: from, tail }, this.channel)
  }

  private wanted(pod: Pod): readonly ContainerStatus[] {
    const { services } = this.request
    return loggedContainers(pod).filter(
      ({ name }) => services.length === 0 || services.includes(serviceOf(pod, name)),
    )
  }
}

function keyOf(pod: Pod, container: string): string {
  return `${pod.metadata.uid ?? pod.metadata.name}/${container}`
}
