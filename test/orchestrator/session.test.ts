import { afterEach, describe, expect, it, vi } from 'vitest'
import { DevstackError } from '../../src/core/error.js'
import type { Dependency } from '../../src/core/project.js'
import { createFakeEngine, type FakeEngine, type FakeService } from '../fakes/fake-engine.js'
import { startSession, up, type Harness } from './harness.js'

const needs = (service: string): Dependency => ({ service, condition: 'service_healthy', required: true })
const db: FakeService = { name: 'db', healthyAfter: 5 }
const api: FakeService = { name: 'api', healthyAfter: 5, dependsOn: [needs('db')] }

const running: Harness[] = []
function start(...services: readonly FakeService[]): Harness & { readonly engine: FakeEngine } {
  const engine = createFakeEngine({ name: 'demo', services })
  const harness = startSession(engine)
  running.push(harness)
  return { ...harness, engine }
}

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ session }) => session.end('the test is over')))
})

describe('up', () => {
  it('creates, starts in order, and is ready when all is healthy', async () => {
    const { session, engine, types } = start(db, api)
    await session.handle(up)
    expect(engine.log).toEqual(['create db api', 'start db', 'start api'])
    expect(types().at(-1)).toBe('stackReady')
    const { ready } = session.store.getState()
    expect(ready?.criticalPath.map(({ service }) => service)).toEqual(['db', 'api'])
    expect(ready?.touched).toBe(2)
  })

  it('says for whom a service waits, and releases it', async () => {
    const { session, events } = start(db, api)
    await session.handle(up)
    const about = events.filter((event) => event.type === 'held' || event.type === 'released')
    expect(about).toMatchObject([
      { type: 'held', service: 'api', hold: { reason: 'waits for', on: ['db'] } },
      { type: 'released', service: 'api' },
    ])
  })

  it('does nothing the second time', async () => {
    const { session, engine, events } = start(db, api)
    await session.handle(up)
    const done = engine.log.length
    await session.handle(up)
    expect(engine.log.length).toBe(done)
    expect(events.findLast((event) => event.type === 'planned')).toMatchObject({ operations: [] })
    expect(session.store.getState().ready?.touched).toBe(0)
  })

  it('joins an `up` that is under way', async () => {
    const { session, engine, events } = start(db, api)
    await Promise.all([session.handle(up), session.handle(up)])
    expect(engine.log.filter((line) => line === 'start db')).toHaveLength(1)
    expect(events.filter((event) => event.type === 'upStarted')).toHaveLength(1)
  })

  it('goes on without what failed to build, blocks its dependants, and names both', async () => {
    const built: FakeService = { name: 'api', healthyAfter: 5, sources: { '/app/a.py': 'x' } }
    const { session, engine, events, phase } = start(db, built, { name: 'nginx', dependsOn: [needs('api')] })
    engine.failNext(
      'buildService',
      'api',
      new DevstackError('BUILD_FAILED', 'api does not build', { cause: 'step 3' }),
    )
    await session.handle(up)
    expect(phase('db')).toBe('running')
    expect(engine.log).not.toContain('start nginx')
    expect(events.at(-1)).toMatchObject({
      type: 'stackFailed',
      failures: [
        { service: 'api', cause: 'step 3' },
        { service: 'nginx', cause: 'cannot start: api failed: step 3' },
      ],
    })
  })

  it('names a container that exits at once, and does not call the stack ready', async () => {
    const { session, events } = start({ name: 'worker', ends: { after: 20, exitCode: 3 } })
    await session.handle(up)
    expect(events.at(-1)).toMatchObject({
      type: 'stackFailed',
      failures: [{ service: 'worker', cause: 'exited 3' }],
    })
  })

  it('refuses an unknown service and suggests the nearest', async () => {
    const { session } = start(db, api)
    await expect(session.handle({ ...up, services: ['apii'] })).rejects.toMatchObject({
      code: 'UNKNOWN_SERVICE',
      hint: 'did you mean "api"?',
    })
  })
})

describe('cancel', () => {
  it('stops what this run started and leaves what ran before', async () => {
    const { session, phase, events } = start(db, {
      name: 'api',
      healthyAfter: 60_000,
      dependsOn: [needs('db')],
    })
    await session.handle({ ...up, services: ['db'] })
    const coming = session.handle(up)
    await vi.waitFor(() => expect(phase('api')).toBe('starting'))
    await session.handle({ type: 'cancel' })
    await expect(coming).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(phase('db')).toBe('running')
    expect(phase('api')).toBe('stopped')
    expect(events.at(-1)).toMatchObject({ type: 'stackFailed', cancelled: true })
  })
})

describe('a stack that is up', () => {
  it('tells a crash with its cause', async () => {
    const { session, engine, phase } = start(db)
    await session.handle(up)
    engine.crash('db', 137, { oomKilled: true })
    await vi.waitFor(() => expect(phase('db')).toBe('failed'))
    expect(session.store.getState().services['db']?.cause).toContain('out of memory')
  })

  it('is seen again as it is after the engine was away', async () => {
    const { session, engine, phase, types } = start(db)
    await session.handle(up)
    engine.lose()
    await vi.waitFor(() => expect(types()).toContain('warned'))
    engine.recover()
    await vi.waitFor(() => expect(phase('db')).toBe('running'))
  })

  it('is adopted by the next session without a touch', async () => {
    const first = start(db, api)
    await first.session.handle(up)
    await first.session.handle({ type: 'leave' })
    const engine = first.engine.reopen()
    const before = engine.log.length
    const second = startSession(engine)
    running.push(second)
    await second.session.handle(up)
    expect(engine.log.length).toBe(before)
    expect(second.session.store.getState().phase).toBe('ready')
  })

  it('restarts, stops and starts one service without the others', async () => {
    const { session, engine, phase } = start(db, api)
    await session.handle(up)
    await session.handle({ type: 'stop', services: ['api'] })
    expect([phase('db'), phase('api')]).toEqual(['running', 'stopped'])
    await session.handle({ type: 'start', services: ['api'] })
    expect(phase('api')).toBe('running')
    await session.handle({ type: 'restart', services: ['api'] })
    expect(phase('api')).toBe('running')
    expect(engine.log.filter((line) => line === 'start db')).toHaveLength(1)
  })

  it('is gone after down, twice as well', async () => {
    const { session, engine } = start(db, api)
    await session.handle(up)
    await session.handle({ type: 'down', volumes: true })
    await session.ended
    expect(engine.things()).toEqual([])
    const again = startSession(engine.reopen())
    await again.session.handle({ type: 'down', volumes: true })
    await again.session.ended
  })

  it('stops on quit and keeps the containers', async () => {
    const { session, engine, phase } = start(db)
    await session.handle(up)
    await session.handle({ type: 'quit', force: false })
    await session.ended
    expect(phase('db')).toBe('stopped')
    expect(engine.things()).not.toEqual([])
  })
})
