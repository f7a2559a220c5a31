import type { Event, ServiceSummary } from './events.js'
import { reduceService, type ServiceEvent } from './reduce-service.js'
import { reduceUpdates } from './reduce-update.js'
import { initialState, type ServiceState, type StackState } from './state.js'

const WARNINGS_KEPT = 50

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
    case 'filesChanged':
      return { ...state, noticed: { batch: event.batch, at: event.at, savedAt: event.savedAt } }
    case 'updateDecided':
      return { ...state, updates: reduceUpdates(state, event) }
    case 'approvalRequested': {
      const { type: _type, seq: _seq, at, ...approval } = event
      const others = state.approvals.filter(({ id }) => id !== event.id)
      return { ...state, approvals: [...others, { ...approval, since: at }] }
    }
    case 'approvalEnded':
      return { ...state, approvals: state.approvals.filter(({ id }) => id !== event.id) }
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

/** A service before anything is known of it. */
export function newService(summary: ServiceSummary): ServiceState {
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
    freshness: {
      state: 'unknown',
      waitingFor: summary.watched ? 'it does not run' : 'nothing of it is watched',
      since: null,
    },
    server: null,
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

function reduceServices(state: StackState, event: ServiceEvent): StackState {
  const names = 'services' in event ? event.services : [event.service]
  const services = mapServices(state, (service) =>
    names.includes(service.name) ? reduceService(service, event) : service,
  )
  switch (event.type) {
    case 'delivered':
    case 'commandRan':
    case 'reloaded':
    case 'updateFailed':
    case 'freshnessChanged':
      return { ...state, services, updates: reduceUpdates(state, event) }
    default:
      return { ...state, services }
  }
}

function mapServices(
  state: StackState,
  change: (service: ServiceState) => ServiceState,
): StackState['services'] {
  return Object.fromEntries(Object.entries(state.services).map(([name, service]) => [name, change(service)]))
}
