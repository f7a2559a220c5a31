import type { EngineEvent } from '../../orchestrator/ports.js'
import { isUnreachable } from './docker.js'
import type { Docker } from './docker.js'
import type { ContainerEvent, StreamItem } from './event-stream.js'
import { LABEL } from './labels.js'
import { readLastLines } from './last-lines.js'
import { inspect, toHealth, toInstance } from './observe.js'
import type { InspectedContainer } from './observe.js'
import { sanitise } from './sanitise.js'

/** What happens to the project's instances, from the call on, until aborted. */
export async function* readEvents(
  docker: Docker,
  project: string,
  signal: AbortSignal,
  items: AsyncIterable<StreamItem>,
): AsyncGenerator<EngineEvent> {
  /** Containers that the engine said ran out of memory, until they die. */
  const outOfMemory = new Set<string>()
  for await (const item of items) {
    if (item.type !== 'event') {
      yield item
      continue
    }
    try {
      const event = await translate(docker, item.event, outOfMemory, signal)
      if (event !== null) yield event
    } catch (error) {
      if (signal.aborted) return
      // The engine went away between its event and the question about it: the stream breaks too and says so.
      if (!isUnreachable(error)) throw error
    }
  }
}

async function translate(
  docker: Docker,
  event: ContainerEvent,
  outOfMemory: Set<string>,
  signal: AbortSignal,
): Promise<EngineEvent | null> {
  const { ID: instance, Attributes: attributes } = event.Actor
  const service = attributes[LABEL.service] ?? ''
  const [action = ''] = event.Action.split(':')
  switch (action) {
    case 'start':
    case 'unpause': {
      const container = await inspect(docker, instance, signal)
      return container === null ? null : { type: 'started', instance: toInstance(container, null) }
    }
    case 'oom':
      outOfMemory.add(instance)
      return null
    case 'die': {
      const container = await inspect(docker, instance, signal)
      const oomKilled = outOfMemory.delete(instance) || container?.State.OOMKilled === true
      return await died(docker, event, container, oomKilled, signal)
    }
    case 'health_status': {
      const health = toHealth(event.Action.slice('health_status:'.length).trim())
      const output = health === 'unhealthy' ? healthOutput(await inspect(docker, instance, signal)) : null
      return { type: 'healthChanged', service, instance, health, output }
    }
    case 'destroy':
      outOfMemory.delete(instance)
      return { type: 'removed', service, instance }
    default:
      return null
  }
}

async function died(
  docker: Docker,
  event: ContainerEvent,
  container: InspectedContainer | null,
  oomKilled: boolean,
  signal: AbortSignal,
): Promise<EngineEvent> {
  const { ID: instance, Attributes: attributes } = event.Actor
  const code = Number(attributes['exitCode'] ?? Number.NaN)
  const failed = code !== 0 || oomKilled
  return {
    type: 'stopped',
    service: attributes[LABEL.service] ?? '',
    instance,
    exitCode: Number.isInteger(code) ? code : null,
    oomKilled,
    lastLines: failed && container !== null ? await readLastLines(docker, container, signal) : [],
    willRestart: container !== null && (container.State.Restarting || container.State.Running),
  }
}

function healthOutput(container: InspectedContainer | null): string | null {
  const output = container?.State.Health?.Log?.at(-1)?.Output
  return output === undefined ? null : sanitise(output).trim()
}
