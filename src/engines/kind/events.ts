import type { EngineEvent } from '../../orchestrator/ports.js'
import { produce } from '../compose/channel.js'
import type { Channel } from '../compose/channel.js'
import type { Gates } from './gates.js'
import type { PodFeed } from './pod-feed.js'
import { parseInstanceId } from './pods.js'
import type { Pod } from './pods.js'
import { PodTeller } from './teller.js'
import type { LastLines } from './teller.js'

export interface EventSources {
  readonly feed: PodFeed
  readonly gates: Gates
  readonly lastLines: LastLines
  /** Called with each pod before it is told of. */
  readonly seen: (pod: Pod) => void
  /** Called with each that is not there any more. */
  readonly gone: (pod: Pod) => void
}

/** What happens to the stack's instances, from the call on, until aborted. */
export function readEvents(sources: EventSources, signal: AbortSignal): AsyncIterable<EngineEvent> {
  return produce(signal, (channel, stop) => follow(sources, channel, stop))
}

async function follow(
  { feed, gates, lastLines, seen, gone }: EventSources,
  channel: Channel<EngineEvent>,
  stop: AbortSignal,
): Promise<void> {
  const teller = new PodTeller(gates, lastLines)
  const pods = new Map<string, Pod>()
  let last: Promise<void> = Promise.resolve()
  /** One piece of news after the other, each told whole. */
  const tell = (news: () => Promise<readonly EngineEvent[]> | readonly EngineEvent[]): Promise<void> => {
    last = last.then(async () => {
      for (const event of await news()) channel.push(event)
    })
    last.catch((error: unknown) => channel.fail(error))
    return last
  }
  // Nobody else tells that a gate was opened.
  const unsubscribe = gates.subscribe((instance) => {
    const pod = pods.get(parseInstanceId(instance)?.uid ?? '')
    if (pod !== undefined) void tell(() => teller.pod(pod))
  })

  let begun = false
  try {
    for await (const news of feed.changes(stop)) {
      if (news.type === 'lost') {
        await tell(() => [news])
      } else if (news.type === 'connected') {
        pods.clear()
        news.pods.forEach(seen)
        for (const pod of news.pods) pods.set(pod.metadata.uid ?? '', pod)
        const first = !begun
        begun = true
        await tell(async () => [
          { type: 'connected' },
          ...(first ? teller.begin(news.pods) : await teller.all(news.pods)),
        ])
      } else if (news.type === 'changed') {
        seen(news.pod)
        pods.set(news.pod.metadata.uid ?? '', news.pod)
        await tell(() => teller.pod(news.pod))
      } else {
        gone(news.pod)
        pods.delete(news.pod.metadata.uid ?? '')
        await tell(() => teller.gone(news.pod))
      }
    }
  } finally {
    unsubscribe()
  }
}
