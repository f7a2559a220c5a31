import { plan } from '../../src/core/plan.js'
import { closure } from '../../src/core/project.js'
import type { Plan } from '../../src/core/plan.js'
import type { Instance, Project } from '../../src/core/project.js'
import { execute } from '../../src/orchestrator/execute.js'
import type { Outcome } from '../../src/orchestrator/execute.js'
import { syncInstances, tellEngineEvent } from '../../src/orchestrator/instances.js'
import { resolveProject } from '../../src/orchestrator/look.js'
import type { Engine } from '../../src/orchestrator/ports.js'
import { createStore } from '../../src/orchestrator/store.js'
import type { Store } from '../../src/orchestrator/store.js'
import { eventually } from './eventually.js'

/** One run of devstack over an engine, as far as the contract needs it. */
export interface Drive {
  readonly store: Store
  readonly project: () => Project
  /** Brings `services` (all where empty) up; resolves when they are ready or cannot get ready. */
  up(services?: readonly string[], signal?: AbortSignal): Promise<Outcome & { readonly plan: Plan }>
  /** From now on called for each instance that an engine makes while it starts a service, before its program begins. */
  level(work: (instance: Instance) => Promise<void>): void
  stop(services: readonly string[]): Promise<void>
  down(volumes: boolean): Promise<void>
  end(): Promise<void>
}

const clock = { now: () => Date.now(), monotonic: () => performance.now() }

/** Listens to the engine at once; `end` stops it. */
export async function startDrive(engine: Engine): Promise<Drive> {
  const life = new AbortController()
  const store = createStore(clock)
  const connected = Promise.withResolvers<void>()
  /** True while devstack itself stops or recreates: what ends then is no failure. */
  const asked = { stopping: false }
  const listening = listen(engine, store, connected.resolve, () => asked.stopping, life.signal)
  listening.catch(connected.reject)
  await connected.promise
  let project: Project | null = null
  let level: (instance: Instance) => Promise<void> = () => Promise.resolve()
  const whileStopping = async <T>(work: () => Promise<T>): Promise<T> => {
    asked.stopping = true
    try {
      return await work()
    } finally {
      // The events of what was stopped may come a moment later.
      await settle(engine, store, life.signal)
      asked.stopping = false
    }
  }
  const run = (signal: AbortSignal) => ({
    signal,
    progress: () => undefined,
    output: () => undefined,
    emit: store.emit,
  })
  const about = { id: 'by hand', label: 'by hand', cause: 'the test asks', dependsOn: [] }
  return {
    store,
    project: () => project ?? fail(),
    async up(services = [], signal = life.signal) {
      const request = { services, profiles: [], freePorts: false, purpose: 'up' } as const
      const resolution = await resolveProject(engine, store, request, signal)
      project = resolution.project
      const observed = await engine.observe(signal)
      syncInstances(store, observed)
      const names = services.length === 0 ? Object.keys(project.services) : closure(project, services)
      store.emit({ type: 'upStarted', services: names })
      const made = plan(project, observed, {
        services: names,
        images: resolution.images,
        build: [],
        builtHashes: resolution.builtHashes,
      })
      const outcome = await execute(made, {
        engine,
        store,
        clock,
        project,
        weight: () => 0,
        startsByItself: engine.startsByItself,
        beforeStart: () => Promise.resolve(),
        level: (instance) => level(instance),
        healthDeadlineMs: 60_000,
        signal,
      })
      return { ...outcome, plan: made }
    },
    level: (work) => {
      level = work
    },
    stop: (services) =>
      whileStopping(() => engine.apply({ ...about, kind: 'stop', services, force: false }, run(life.signal))),
    down: (volumes) =>
      whileStopping(() =>
        engine.apply({ ...about, kind: 'remove', services: [], volumes }, run(life.signal)),
      ),
    async end() {
      life.abort(new Error('the test is over'))
      await listening.catch(() => undefined)
    },
  }
}

async function listen(
  engine: Engine,
  store: Store,
  connected: () => void,
  stopping: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  for await (const event of engine.events(signal)) {
    if (event.type === 'connected') connected()
    else if (event.type !== 'lost' && event.type !== 'created') tellEngineEvent(store, event, stopping())
  }
}

/** Waits until the store has heard of everything that ended. */
async function settle(engine: Engine, store: Store, signal: AbortSignal): Promise<void> {
  const { instances } = await engine.observe(signal)
  const alive = new Set(instances.filter(({ state }) => state === 'running').map(({ id }) => id))
  await eventually(() => {
    const known = Object.values(store.getState().services).flatMap(({ instances }) => Object.keys(instances))
    if (known.some((id) => !alive.has(id))) throw new Error('the store still knows instances that ended')
    return Promise.resolve()
  })
}

function fail(): never {
  throw new Error('nothing was brought up yet')
}
