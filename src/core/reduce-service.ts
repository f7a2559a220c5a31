import type { Event } from './events.js'
import type { Health } from './project.js'
import type { Phase, ServiceState } from './state.js'

/** The Events about single services. */
export type ServiceEvent = Exclude<
  Event,
  {
    type:
      | 'sessionStarted'
      | 'sessionEnded'
      | 'warned'
      | 'failed'
      | 'upStarted'
      | 'projectResolved'
      | 'planned'
      | 'stackReady'
      | 'stackFailed'
      | 'stackStopped'
      | 'updateDecided'
      | 'filesChanged'
      | 'approvalRequested'
      | 'approvalEnded'
  }
>

/** The next state of one service that the Event is about. */
export function reduceService(service: ServiceState, event: ServiceEvent): ServiceState {
  switch (event.type) {
    case 'operationStarted':
      return {
        ...service,
        operation: { id: event.operation, label: event.label, progress: null },
        phase: operationPhase(service, event.kind),
        hold: null,
      }
    case 'operationProgressed':
      if (service.operation?.id !== event.operation) return service
      return { ...service, operation: { ...service.operation, progress: event.progress } }
    case 'operationSucceeded':
      return endOperation(service, event.operation)
    case 'operationFailed':
      return {
        ...endOperation(service, event.operation),
        phase: 'failed',
        hold: null,
        cause: event.error.cause ?? event.error.message,
        output: event.output,
      }
    case 'imageChosen': {
      const { type: _type, services: _services, seq: _seq, at: _at, ...image } = event
      return { ...service, image }
    }
    case 'portAssigned': {
      const { type: _type, service: _service, seq: _seq, at: _at, ...port } = event
      const others = service.ports.filter((other) => other.target !== port.target)
      return { ...service, ports: [...others, port] }
    }
    case 'addressChecked': {
      const { target, failure } = event
      const ports = service.ports.map((port) => (port.target === target ? { ...port, failure } : port))
      return { ...service, ports }
    }
    case 'held':
      return { ...service, hold: event.hold }
    case 'released':
      return { ...service, hold: null }
    case 'instanceStarted':
      return instanceStarted(service, event)
    case 'instanceStopped':
      return instanceStopped(service, event)
    case 'serviceHealthChanged':
      return healthChanged(service, event)
    case 'logged':
      return {
        ...service,
        logLines: service.logLines + event.lines.length,
        logDropped: service.logDropped + event.dropped,
      }
    case 'delivered':
    case 'commandRan':
    case 'broughtBack':
    case 'reloaded':
    case 'updateFailed':
      return service
    case 'freshnessChanged': {
      const { state, waitingFor, at } = event
      return { ...service, freshness: { state, waitingFor, since: at } }
    }
    case 'serverKnown':
      return { ...service, server: { name: event.server, reason: event.reason } }
  }
}

function operationPhase(
  service: ServiceState,
  kind: Extract<Event, { type: 'operationStarted' }>['kind'],
): Phase {
  switch (kind) {
    case 'pullImage':
    case 'buildImage':
    case 'buildService':
      return Object.keys(service.instances).length > 0 ? service.phase : 'building'
    case 'create':
      // A new container: also one that had completed runs again.
      return Object.keys(service.instances).length > 0 ? service.phase : 'pending'
    case 'start':
      return 'starting'
    case 'stop':
    case 'remove':
      return service.phase
  }
}

function endOperation(service: ServiceState, operation: string): ServiceState {
  if (service.operation?.id !== operation) return service
  return { ...service, operation: null, phase: phaseAfter(service) }
}

/** A build that is done leaves a service pending; a start that found its container running already changes nothing. */
function phaseAfter(service: ServiceState): Phase {
  if (service.phase === 'building') return 'pending'
  // With a cause it has ended, and is there only because its engine will start it again.
  const runs = Object.keys(service.instances).length > 0 && service.cause === null
  const well = service.health === 'healthy' || (service.health === 'none' && !service.summary.hasHealthCheck)
  return service.phase === 'starting' && runs && well && !service.summary.oneShot ? 'running' : service.phase
}

function instanceStarted(
  service: ServiceState,
  event: Extract<Event, { type: 'instanceStarted' }>,
): ServiceState {
  const { instance: id, startedAt, restarts } = event
  const ready = !service.summary.hasHealthCheck && !service.summary.oneShot
  const health: Health = service.summary.hasHealthCheck ? 'starting' : 'none'
  return {
    ...service,
    phase: ready ? 'running' : 'starting',
    health,
    hold: null,
    cause: null,
    instances: { ...service.instances, [id]: { id, startedAt, restarts, health } },
    startedAt: service.startedAt ?? event.startedAt,
    readyAt: ready ? (service.readyAt ?? event.at) : service.readyAt,
  }
}

function instanceStopped(
  service: ServiceState,
  event: Extract<Event, { type: 'instanceStopped' }>,
): ServiceState {
  const others = Object.fromEntries(Object.entries(service.instances).filter(([id]) => id !== event.instance))
  // One that its engine starts again is still there, with its count of restarts, and still has to be stopped.
  const instances = event.willRestart ? service.instances : others
  if (Object.keys(others).length > 0) return { ...service, instances }
  const phase = stoppedPhase(service, event)
  const failed = phase === 'failed' || event.willRestart
  return {
    ...service,
    instances,
    phase,
    health: 'none',
    cause: failed ? event.cause : null,
    output: failed ? event.lastLines : [],
    readyAt: phase === 'completed' ? (service.readyAt ?? event.at) : service.readyAt,
  }
}

/** A program that serves nothing and ends with 0 has done its work, also where nobody waits for its completion. */
function stoppedPhase(service: ServiceState, event: Extract<Event, { type: 'instanceStopped' }>): Phase {
  const { oneShot, hasHealthCheck, ports } = service.summary
  const mayComplete = oneShot || (!hasHealthCheck && ports.length === 0)
  if (event.willRestart) return 'starting'
  if (mayComplete && event.exitCode === 0 && !event.requested) return 'completed'
  return event.requested ? 'stopped' : 'failed'
}

function healthChanged(
  service: ServiceState,
  event: Extract<Event, { type: 'serviceHealthChanged' }>,
): ServiceState {
  const info = service.instances[event.instance]
  if (info === undefined) return service
  const instances = { ...service.instances, [event.instance]: { ...info, health: event.health } }
  const all = Object.values(instances).map((instance) => instance.health)
  const health: Health = all.includes('unhealthy')
    ? 'unhealthy'
    : all.includes('starting')
      ? 'starting'
      : event.health
  return {
    ...service,
    instances,
    health,
    phase: health === 'healthy' ? 'running' : service.phase,
    cause: health === 'unhealthy' ? unhealthyCause(event.output) : null,
    readyAt: health === 'healthy' ? (service.readyAt ?? event.at) : service.readyAt,
  }
}

function unhealthyCause(output: string | null): string {
  return output === null || output === '' ? 'health check fails' : `health check fails: ${output}`
}
