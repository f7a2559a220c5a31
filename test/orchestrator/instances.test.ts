import { describe, expect, it } from 'vitest'
import type { Instance } from '../../src/core/project.js'
import { isReady } from '../../src/orchestrator/execute.js'
import { syncInstances } from '../../src/orchestrator/instances.js'
import { createStore } from '../../src/orchestrator/store.js'
import type { Store } from '../../src/orchestrator/store.js'

const SUMMARY = {
  name: 'app',
  oneShot: false,
  hasHealthCheck: false,
  dependsOn: [],
  ports: [],
  built: false,
  watched: false,
}

function instance(id: string, about: Partial<Instance>): Instance {
  return {
    id,
    service: 'app',
    name: id,
    state: 'running',
    health: 'none',
    exitCode: null,
    oomKilled: false,
    restarts: 0,
    startedAt: '2026-01-01T00:00:00Z',
    configHash: 'c',
    imageId: 'i',
    wantedImageId: 'i',
    buildHash: null,
    ...about,
  }
}

/** A store in which the first run of app is running. */
function runningStore(): Store {
  const store = createStore({ now: () => Date.parse('2026-01-01T00:00:05Z'), monotonic: () => 5000 })
  store.emit({ type: 'projectResolved', services: [SUMMARY] })
  syncInstances(store, { instances: [instance('pod.app.0', {})] })
  return store
}

const app = (store: Store) => store.getState().services['app']

describe('a service whose engine starts it again by itself', () => {
  const waiting = instance('pod.app.1', { state: 'created', restarts: 1, startedAt: null })

  it('is starting while its next run has not begun: nobody stopped it', () => {
    const store = runningStore()
    syncInstances(store, { instances: [waiting] })
    expect(app(store)).toMatchObject({ phase: 'starting', cause: 'ended' })
    syncInstances(store, { instances: [{ ...waiting, state: 'running', startedAt: '2026-01-01T00:00:04Z' }] })
    expect(app(store)).toMatchObject({ phase: 'running', cause: null })
    expect(Object.keys(app(store)?.instances ?? {})).toEqual(['pod.app.1'])
  })

  it('is not ready because an operation that starts it was done', () => {
    const store = runningStore()
    syncInstances(store, { instances: [waiting] })
    const about = { operation: 'start app', kind: 'start', services: ['app'] } as const
    store.emit({ type: 'operationStarted', ...about, label: 'start app', cause: 'it was replaced' })
    store.emit({ type: 'operationSucceeded', ...about, durationMs: 1 })
    const service = app(store)
    expect(service === undefined || isReady(service)).toBe(false)
  })

  it('is stopped where nothing comes in its place', () => {
    const store = runningStore()
    syncInstances(store, { instances: [] })
    expect(app(store)).toMatchObject({ phase: 'stopped', instances: {} })
  })
})
