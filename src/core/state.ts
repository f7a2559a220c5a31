import type { ErrorInfo } from './error.js'
import type {
  Event,
  Hold,
  ImageChosen,
  PortAssigned,
  Progress,
  ServiceSummary,
  StackReady,
} from './events.js'
import type { EngineKind, Health } from './project.js'

/** As `devstack.status/1` prints it. */
export type Phase = 'pending' | 'building' | 'starting' | 'running' | 'completed' | 'stopped' | 'failed'

/** The store's value: everything a renderer needs. Serialisable: it is what a client of the session's socket is sent. */
export interface StackState {
  /** Number of the last Event in it. */
  readonly seq: number
  readonly project: string
  readonly folder: string
  readonly engine: EngineKind
  readonly version: string
  readonly session: { readonly pid: number; readonly since: string } | null
  readonly phase: 'idle' | 'comingUp' | 'ready' | 'failed' | 'stopped' | 'ended'
  /** When the `up` that is under way, or was the last, began. */
  readonly upSince: string | null
  /** By name, in the file's order. */
  readonly services: Readonly<Record<string, ServiceState>>
  readonly ready: StackReady | null
  readonly warnings: readonly { readonly message: string; readonly hint: string | null }[]
  readonly failure: ErrorInfo | null
  /** The last {@link CHANGES_KEPT} deliveries, newest first. */
  readonly changes: readonly Change[]
}

export interface ServiceState {
  readonly name: string
  readonly summary: ServiceSummary
  readonly phase: Phase
  readonly health: Health
  /** True where the last `up` asked for it. */
  readonly wanted: boolean
  /** The operation that works on it. */
  readonly operation: {
    readonly id: string
    readonly label: string
    readonly progress: Progress | null
  } | null
  readonly hold: Hold | null
  readonly image: Omit<ImageChosen, 'type' | 'services'> | null
  readonly ports: readonly Omit<PortAssigned, 'type' | 'service'>[]
  readonly instances: Readonly<Record<string, InstanceInfo>>
  /** Of the last `up`: when the first instance started, and when the service became ready. */
  readonly startedAt: string | null
  readonly readyAt: string | null
  /** Why it is failed, stopped or unhealthy; null otherwise. */
  readonly cause: string | null
  /** The last lines of a failed build or container. */
  readonly output: readonly string[]
  readonly logLines: number
  readonly logDropped: number
  readonly lastDelivery: Change | null
}

export interface InstanceInfo {
  readonly id: string
  readonly startedAt: string
  readonly restarts: number
  readonly health: Health
}

/** One delivery to a service. */
export interface Change {
  readonly at: string
  readonly batch: number
  readonly service: string
  readonly files: readonly string[]
  readonly action: string
  readonly durationMs: number
}

const CHANGES_KEPT = 50
const WARNINGS_KEPT = 50

/** The state before the first Event. */
export const initialState: StackState = {
  seq: 0,
  project: '',
  folder: '',
  engine: 'compose',
  version: '',
  session: null,
  phase: 'idle',
  upSince: null,
  services: {},
  ready: null,
  warnings: [],
  failure: null,
  changes: [],
}

/** The next state. Pure: replaying the Events of `--ui json` gives the same state. */
export function reduce(state: StackState, event: Event): StackState {
  return { ...apply(state, event), seq: event.seq }
}

function apply(state: StackState, event: Event): StackState {
  switch (event.type) {
    case 'sessionStarted':
      return {
        ...initialState,
        project: event.project,
        folder: event.folder,
        engine: event.engine,
        version: event.version,
        session: { pid: event.pid, since: event.at },
      }
    case 'sessionEnded':
      return { ...state, phase: 'ended', session: null }
    case 'warned':
      return {
        ...state,
        warnings: [...state.warnings, { message: event.message, hint: event.hint }].slice(-WARNINGS_KEPT),
      }
    case 'failed':
      return { ...state, failure: event.error, phase: state.phase === 'comingUp' ? 'failed' : state.phase }
    case 'upStarted':
      return beginUp(state, event.services, event.at)
    case 'projectResolved':
      return { ...state, services: resolved(state, event.services) }
    case 'planned':
      return state
    case 'stackReady':
      return { ...state, phase: 'ready', ready: event, failure: null }
    case 'stackFailed':
      return { ...state, phase: event.cancelled ? 'stopped' : 'failed' }
    case 'stackStopped':
      return stopped(state, event.services, event.removed)
    case 'updateDecided':
    case 'filesChanged':
      return state
    default:
      return reduceServices(state, event)
  }
}

function beginUp(state: StackState, wanted: readonly string[], at: string): StackState {
  const services = mapServices(state, (service) => {
    const isWanted = wanted.includes(service.name)
    if (!isWanted) return { ...service, wanted: false }
    const phase = service.phase === 'failed' || service.phase === 'stopped' ? 'pending' : service.phase
    return {
      ...service,
      phase,
      wanted: true,
      startedAt: null,
      readyAt: null,
      cause: null,
      output: [],
      hold: null,
    }
  })
  return { ...state, services, phase: 'comingUp', upSince: at, failure: null, ready: null }
}

function resolved(state: StackState, summaries: readonly ServiceSummary[]): StackState['services'] {
  const services: Record<string, ServiceState> = {}
  for (const summary of summaries) {
    const old = state.services[summary.name]
    services[summary.name] = old === undefined ? newService(summary) : { ...old, summary }
  }
  return services
}

function newService(summary: ServiceSummary): ServiceState {
  return {
    name: summary.name,
    summary,
    phase: 'pending',
    health: 'none',
    wanted: false,
    operation: null,
    hold: null,
    image: null,
    ports: [],
    instances: {},
    startedAt: null,
    readyAt: null,
    cause: null,
    output: [],
    logLines: 0,
    logDropped: 0,
    lastDelivery: null,
  }
}

function stopped(state: StackState, names: readonly string[], removed: boolean): StackState {
  const services = mapServices(state, (service) =>
    names.includes(service.name)
      ? {
          ...service,
          phase: service.phase === 'completed' && !removed ? 'completed' : removed ? 'pending' : 'stopped',
          health: 'none',
          wanted: false,
          operation: null,
          hold: null,
          instances: {},
          cause: null,
        }
      : service,
  )
  const running = Object.values(services).some((service) => Object.keys(service.instances).length > 0)
  return { ...state, services, phase: running ? state.phase : 'stopped' }
}

type ServiceEvent = Exclude<
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
  }
>

function reduceServices(state: StackState, event: ServiceEvent): StackState {
  const names = 'services' in event ? event.services : [event.service]
  const services = mapServices(state, (service) =>
    names.includes(service.name) ? reduceService(service, event) : service,
  )
  if (event.type !== 'delivered') return { ...state, services }
  const change = deliveredChange(event)
  return { ...state, services, changes: [change, ...state.changes].slice(0, CHANGES_KEPT) }
}

function deliveredChange(event: Extract<Event, { type: 'delivered' }>): Change {
  return {
    at: event.at,
    batch: event.batch,
    service: event.service,
    files: [...event.written, ...event.deleted],
    action: 'sync',
    durationMs: event.durationMs,
  }
}

function reduceService(service: ServiceState, event: ServiceEvent): ServiceState {
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
      return { ...service, lastDelivery: deliveredChange(event) }
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
  const runs = Object.keys(service.instances).length > 0
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

function mapServices(
  state: StackState,
  change: (service: ServiceState) => ServiceState,
): StackState['services'] {
  return Object.fromEntries(Object.entries(state.services).map(([name, service]) => [name, change(service)]))
}
