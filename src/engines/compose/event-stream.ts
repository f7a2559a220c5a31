import { setTimeout as sleep } from 'node:timers/promises'
import type Dockerode from 'dockerode'
import { labelFilter } from './docker.js'
import type { Docker } from './docker.js'
import { isInstance, LABEL } from './labels.js'

/** One of the engine's own events about a container of the project. */
export interface ContainerEvent {
  readonly Action: string
  readonly timeNano: number
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

export type StreamItem =
  | { readonly type: 'event'; readonly event: ContainerEvent }
  | { readonly type: 'connected' }
  | { readonly type: 'lost'; readonly cause: string }

// Only these: each health check makes three events about a process, and every event carries all labels.
const ACTIONS: readonly string[] = ['start', 'unpause', 'oom', 'die', 'health_status', 'destroy']

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2000

/**
 * The engine's event stream of one project, from the moment of the call, until aborted. A stream that breaks is opened
 * again; while the engine does not answer it is tried with growing pauses.
 */
export function watchContainers(
  docker: Docker,
  project: string,
  signal: AbortSignal,
  now: () => number = Date.now,
): AsyncIterable<StreamItem> {
  // Asked for from this moment on, so that nothing is missed before the connection stands.
  const from = formatSeconds(now())
  return { [Symbol.asyncIterator]: () => items(docker, project, from, signal) }
}

async function* items(
  docker: Docker,
  project: string,
  from: string,
  signal: AbortSignal,
): AsyncGenerator<StreamItem> {
  let since = from
  let wait = FIRST_WAIT_MS
  let state: 'new' | 'connected' | 'broken' | 'lost' = 'new'
  while (!signal.aborted) {
    try {
      const stream = await open(docker, project, since, signal)
      yield { type: 'connected' }
      state = 'connected'
      wait = FIRST_WAIT_MS
      for await (const event of parse(stream)) {
        since = afterEvent(event)
        if (isInstance(event.Actor.Attributes)) yield { type: 'event', event }
      }
      state = 'broken'
    } catch (error) {
      if (signal.aborted) return
      if (state === 'connected') state = 'broken'
      else if (state !== 'lost') {
        state = 'lost'
        yield { type: 'lost', cause: docker.explain(error, 'read events').message }
      }
    }
    try {
      await sleep(wait, undefined, { signal })
    } catch {
      return
    }
    wait = Math.min(wait * 2, LONGEST_WAIT_MS)
  }
}

async function open(
  docker: Docker,
  project: string,
  since: string,
  signal: AbortSignal,
): Promise<NodeJS.ReadableStream> {
  const client = await docker.client()
  const filters = { ...labelFilter(`${LABEL.project}=${project}`), type: ['container'], event: ACTIONS }
  // The client library's types know only whole seconds; the engine takes `seconds.nanoseconds`.
  const options = { filters, since, abortSignal: signal } as unknown as Dockerode.GetEventsOptions
  return await client.getEvents(options)
}

/** One JSON object a line; a chunk may end anywhere. */
async function* parse(stream: NodeJS.ReadableStream): AsyncGenerator<ContainerEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.trim() !== '') yield JSON.parse(line) as ContainerEvent
    }
  }
}

function formatSeconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}

// `timeNano` is beyond what a number holds exactly; a microsecond more is after the event and before the next one.
function afterEvent(event: ContainerEvent): string {
  const micros = Math.floor(event.timeNano / 1000) + 1
  return `${String(Math.floor(micros / 1_000_000))}.${String(micros % 1_000_000).padStart(6, '0')}000`
}
