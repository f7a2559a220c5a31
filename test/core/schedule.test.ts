import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dependants } from '../../src/core/project.js'
import { chainWeights, criticalPath, next } from '../../src/core/schedule.js'
import { healthy, project, service, serviceState, stackState } from './builders.js'

const once = service('migrate', ['db'], { oneShot: true })
const api = service('api', ['search'], {
  dependsOn: [
    { service: 'search', condition: 'service_healthy', required: true },
    { service: 'migrate', condition: 'service_completed_successfully', required: true },
    { service: 'mail', condition: 'service_started', required: false },
  ],
})
const demo = project(service('db'), service('search'), once, api, service('nginx', ['api']), service('mail'))

describe('next', () => {
  it('starts what waits for nobody, and says for whom the others wait', () => {
    const state = stackState(
      serviceState('db'),
      serviceState('search'),
      serviceState('migrate'),
      serviceState('api'),
    )
    expect(next(demo, state, ['db', 'search', 'migrate', 'api'])).toEqual({
      start: ['db', 'search'],
      holds: {
        migrate: { reason: 'waits for', on: ['db'] },
        api: { reason: 'waits for', on: ['search', 'migrate'] },
      },
      blocked: {},
    })
  })

  it('releases a service when the last of its conditions is met', () => {
    const done = serviceState('migrate', { phase: 'completed' })
    expect(next(demo, stackState(healthy('search'), done), ['api']).start).toEqual(['api'])
    expect(
      next(demo, stackState(healthy('search'), serviceState('migrate', { phase: 'running' })), ['api']),
    ).toMatchObject({
      start: [],
      holds: { api: { on: ['migrate'] } },
    })
  })

  it('takes running as healthy where there is no health check', () => {
    const running = serviceState('db', { phase: 'running' })
    const plainDb = { ...running, summary: { ...running.summary, hasHealthCheck: false } }
    expect(next(demo, stackState(plainDb), ['migrate']).start).toEqual(['migrate'])
  })

  it('blocks what a failed service gates, and says why', () => {
    const failed = serviceState('search', { phase: 'failed', cause: 'exited 78' })
    expect(next(demo, stackState(failed), ['api']).blocked).toEqual({ api: 'search failed: exited 78' })
  })

  it('does not wait for an optional dependency that failed', () => {
    const state = stackState(
      healthy('search'),
      serviceState('migrate', { phase: 'completed' }),
      serviceState('mail', { phase: 'failed' }),
    )
    expect(next(demo, state, ['api']).start).toEqual(['api'])
  })

  it('starts first what has most behind it', () => {
    const weights = chainWeights(demo, { search: 5000, db: 900, mail: 100 })
    const state = stackState(serviceState('mail'), serviceState('db'), serviceState('search'))
    expect(next(demo, state, ['mail', 'db', 'search'], (name) => weights.get(name) ?? 0).start).toEqual([
      'search',
      'db',
      'mail',
    ])
  })

  it('property: never starts a dependant of a service that is not ready', () => {
    const phases = fc.constantFrom('pending', 'starting', 'running', 'failed', 'completed', 'stopped')
    const names = Object.keys(demo.services)
    fc.assert(
      fc.property(fc.array(phases, { minLength: names.length, maxLength: names.length }), (list) => {
        const state = stackState(
          ...names.map((name, index) => serviceState(name, { phase: list[index] ?? 'pending' })),
        )
        const failed = names.filter((name) => state.services[name]?.phase === 'failed')
        const { start } = next(demo, state, names)
        // Nothing is healthy here: only services without required dependencies may start.
        expect(start.filter((name) => demo.services[name]?.dependsOn.some((one) => one.required))).toEqual([])
        expect(start.filter((name) => dependants(demo, failed).has(name))).toEqual([])
      }),
    )
  })
})

describe('criticalPath', () => {
  it('names what readiness waited for, first to last, with own times', () => {
    const state = {
      ...stackState(
        healthy('db', 1),
        healthy('search', 5.1),
        { ...healthy('migrate', 2), phase: 'completed' as const },
        healthy('api', 7.5),
        healthy('nginx', 8.1),
        healthy('mail', 0.4),
      ),
      upSince: '2026-01-01T00:00:00.000Z',
    }
    expect(criticalPath(demo, state)).toEqual([
      { service: 'search', durationMs: 5100 },
      { service: 'api', durationMs: 2400 },
      { service: 'nginx', durationMs: 600 },
    ])
  })

  it('is empty where nothing was started', () => {
    expect(criticalPath(demo, { ...stackState(serviceState('db')), upSince: null })).toEqual([])
  })
})
