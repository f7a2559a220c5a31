import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Event, EventBody } from '../../src/core/events.js'
import { reduce } from '../../src/core/reduce.js'
import { initialState } from '../../src/core/state.js'
import { createStore } from '../../src/orchestrator/store.js'

const clock = { now: () => Date.UTC(2026, 0, 1), monotonic: () => 0 }
const warned = (message: string): EventBody => ({ type: 'warned', message, hint: null, place: null })

describe('store', () => {
  it('numbers Events from 1 without gaps', () => {
    const store = createStore(clock)
    const seen: number[] = []
    store.subscribe((event) => seen.push(event.seq))
    for (const message of ['a', 'b', 'c']) store.emit(warned(message))
    expect(seen).toEqual([1, 2, 3])
  })

  it('dispatches first in, first out: what a listener emits comes after what it hears', () => {
    const store = createStore(clock)
    const heard: string[] = []
    store.subscribe((event) => {
      if (event.type === 'warned' && event.message === 'first') store.emit(warned('second'))
    })
    store.subscribe((event) => heard.push(event.type === 'warned' ? event.message : ''))
    store.emit(warned('first'))
    expect(heard).toEqual(['first', 'second'])
  })

  it('property: replaying the Events gives the same state', () => {
    const service = fc.constantFrom('api', 'db')
    const body: fc.Arbitrary<EventBody> = fc.oneof(
      fc.string().map(warned),
      fc.constant<EventBody>({
        type: 'projectResolved',
        services: ['api', 'db'].map((name) => ({
          name,
          oneShot: false,
          hasHealthCheck: true,
          dependsOn: [],
          ports: [],
          built: false,
          watched: false,
        })),
      }),
      fc.subarray(['api', 'db']).map((services): EventBody => ({ type: 'upStarted', services })),
      service.map((name): EventBody => ({
        type: 'instanceStarted',
        service: name,
        instance: name,
        startedAt: '2026-01-01T00:00:00Z',
        restarts: 0,
      })),
      fc
        .tuple(service, fc.constantFrom('healthy' as const, 'unhealthy' as const))
        .map(([name, health]): EventBody => ({
          type: 'serviceHealthChanged',
          service: name,
          instance: name,
          health,
          output: null,
        })),
      fc.tuple(service, fc.boolean(), fc.boolean()).map(([name, requested, willRestart]): EventBody => ({
        type: 'instanceStopped',
        service: name,
        instance: name,
        exitCode: 1,
        oomKilled: false,
        cause: 'exited 1',
        requested,
        willRestart,
        lastLines: ['x'],
      })),
    )
    fc.assert(
      fc.property(fc.array(body, { maxLength: 30 }), (bodies) => {
        const store = createStore(clock)
        const log: string[] = []
        store.subscribe((event) => log.push(JSON.stringify(event)))
        for (const one of bodies) store.emit(one)
        const replayed = log.map((line) => JSON.parse(line) as Event).reduce(reduce, initialState)
        expect(replayed).toEqual(store.getState())
      }),
    )
  })
})
