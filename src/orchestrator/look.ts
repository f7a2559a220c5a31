import type { EventBody, ServiceSummary } from '../core/events.js'
import type { Service } from '../core/project.js'
import type { StackState } from '../core/state.js'
import { syncInstances } from './instances.js'
import type { Clock, Engine, Resolution, ResolveRequest } from './ports.js'
import { createStore, type Store } from './store.js'

/** Reads the project and tells its services, images and ports as Events. */
export async function resolveProject(
  engine: Engine,
  store: Store,
  request: ResolveRequest,
  signal: AbortSignal,
): Promise<Resolution> {
  // What the engine tells about services is told after the services themselves.
  const early: EventBody[] = []
  const resolution = await engine.resolve(request, (event) => early.push(event), signal)
  store.emit({ type: 'projectResolved', services: Object.values(resolution.project.services).map(summaryOf) })
  for (const event of early) store.emit(event)
  for (const { services, wanted, ref, origin, reason, reduced } of resolution.images)
    store.emit({ type: 'imageChosen', services, wanted, ref, origin, reason, reduced })
  return resolution
}

/** What is, read from the engine where no session runs. Changes nothing and watches nothing. */
export async function look(
  engine: Engine,
  clock: Clock,
  name: string,
  signal: AbortSignal,
): Promise<StackState> {
  const store = createStore(clock)
  const request = { services: [], profiles: [], freePorts: false, purpose: 'look' } as const
  const [{ project }, observed] = await Promise.all([
    resolveProject(engine, store, request, signal),
    engine.observe(signal),
  ])
  syncInstances(store, observed)
  return { ...store.getState(), project: name, folder: project.folder, engine: project.engine }
}

function summaryOf(service: Service): ServiceSummary {
  const { name, oneShot, hasHealthCheck, dependsOn, ports, build, watch, sharesPodWith } = service
  return {
    name,
    oneShot,
    hasHealthCheck,
    dependsOn: dependsOn.map((dependency) => dependency.service),
    ports,
    built: build !== null,
    watched: watch.length > 0,
    ...(sharesPodWith === undefined ? {} : { sharesPodWith }),
  }
}
