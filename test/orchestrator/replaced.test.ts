import { afterEach, describe, expect, it, vi } from 'vitest'
import { DevstackError } from '../../src/core/error.js'
import { createFakeEngine, type FakeEngine } from '../fakes/fake-engine.js'
import { FakeSources, startSession, up, type Harness } from './harness.js'

// An engine that makes instances by itself, as Kubernetes replaces a pod.

const running: Harness[] = []
const hosts: FakeSources[] = []

async function start(text: string): Promise<Harness & { engine: FakeEngine; sources: FakeSources }> {
  const sources = new FakeSources()
  hosts.push(sources)
  sources.write('src/a.py', text, false)
  const path = sources.path('src')
  const engine = createFakeEngine({
    name: 'demo',
    services: [
      {
        name: 'api',
        healthyAfter: 1,
        sources: { '/app/a.py': 'old' },
        watch: [
          {
            action: 'sync',
            path,
            target: '/app',
            ignore: [],
            include: [],
            initialSync: false,
            exec: null,
            at: null,
          },
        ],
      },
      { name: 'db' },
    ],
  })
  const harness = startSession(engine, { sources })
  running.push(harness)
  await harness.session.handle(up)
  return { ...harness, engine, sources }
}

const service = ({ session }: Harness, name: string) => session.store.getState().services[name]

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ session }) => session.end('the test is over')))
  for (const sources of hosts.splice(0)) sources.dispose()
})

describe('an instance that the engine replaced', () => {
  it('has every edit before its program begins', async () => {
    const world = await start('new')
    world.sources.write('src/a.py', 'newer')
    await vi.waitFor(() => expect(world.engine.readFile('api', '/app/a.py')).toBe('newer'))
    const seen: (string | null)[] = []
    world.session.store.subscribe((event) => {
      if (event.type === 'instanceStarted') seen.push(world.engine.readFile('api', '/app/a.py'))
    })
    world.engine.replace('api')
    await vi.waitFor(() => expect(seen).toEqual(['newer']), 5000)
    await vi.waitFor(() => expect(service(world, 'api')?.health).toBe('healthy'))
  })

  it('is started as it is where nothing of it is watched', async () => {
    const world = await start('new')
    const [before] = Object.keys(service(world, 'db')?.instances ?? {})
    world.engine.replace('db')
    await vi.waitFor(() => {
      expect(service(world, 'db')?.phase).toBe('running')
      expect(Object.keys(service(world, 'db')?.instances ?? {})).not.toContain(before)
    })
  })
})

describe('an instance that does not come to start', () => {
  it('is told with the cause until it waits no more', async () => {
    const world = await start('new')
    world.engine.wait('api', 'pulling its image')
    await vi.waitFor(() =>
      expect(service(world, 'api')?.hold).toEqual({ reason: 'pulling its image', on: [] }),
    )
    world.engine.wait('api', null)
    await vi.waitFor(() => expect(service(world, 'api')?.hold).toBeNull())
  })

  it('has failed where that is final', async () => {
    const world = await start('new')
    world.engine.wait('db', 'the image nowhere:1 is not on the node', true)
    await vi.waitFor(() =>
      expect(service(world, 'db')?.hold?.reason).toBe('cannot start: the image nowhere:1 is not on the node'),
    )
  })
})

it('addresses that an engine could not keep open are opened again by the next up', async () => {
  const engine = createFakeEngine({ name: 'demo', services: [{ name: 'db' }] })
  let tries = 0
  const publish = (): Promise<void> => {
    tries++
    return tries === 1
      ? Promise.reject(new DevstackError('ENGINE_GONE', 'the API server went away'))
      : new Promise(() => undefined)
  }
  const harness = startSession({ ...engine, publish }, {})
  running.push(harness)
  await harness.session.handle(up)
  await vi.waitFor(() => expect(ofFailure(harness)).toBe('the API server went away'))
  await harness.session.handle(up)
  await harness.session.handle(up)
  expect(tries).toBe(2)
})

const ofFailure = ({ events }: Harness): string | undefined =>
  events.flatMap((event) => (event.type === 'failed' ? [event.error.message] : []))[0]
