import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.js'
import { formatPlan } from '../../src/core/plan.js'
import type { Instance } from '../../src/core/project.js'
import type { Engine, EngineEvent } from '../../src/orchestrator/ports.js'
import { startDrive } from './drive.js'
import type { Drive } from './drive.js'
import { describeLive, STACK } from './describe-live.js'
import { eventually } from './eventually.js'

/**
 * The stack that the contract runs, the same on every engine:
 *
 * - `store` has a health check and is healthy a moment after its start;
 * - `once` waits for `store` and ends with 0 (a one-shot);
 * - `app` is built, waits for `store` to be healthy and for `once` to be completed; it holds `/app/main.txt` ("first")
 *   from its build context and a `sync` rule for `/app`, and its program lists that folder in `/tmp/seen` as it begins;
 * - `slow` is built, for a minute if nobody stops it; nobody needs it.
 */
export interface EngineWorld {
  readonly engine: Engine
  /** What was stopped is started again as it was, with its files; false: another instance takes its place. */
  readonly keepsStopped: boolean
  /** The same containers as the next process sees them. */
  reopen(): Engine
  /** The services' own words, for the tests that name one. */
  readFile(service: string, path: string): Promise<string | null>
  /** The service's process ends by itself with this code, after printing `last words`. */
  crash(service: string, exitCode: number): Promise<void>
  /** Names of containers, networks and volumes that are there. */
  things(): Promise<readonly string[]>
  /** Commands of builds that still run. */
  building(): Promise<readonly string[]>
  dispose(): Promise<void>
}

/** One suite for every implementation of {@link Engine}. */
export function describeEngine(name: string, make: () => Promise<EngineWorld>): void {
  describe(`${name} as an engine`, () => {
    let world: EngineWorld
    let drive: Drive

    beforeAll(async () => {
      world = await make()
    })
    beforeEach(async () => {
      drive = await startDrive(world.engine)
    })
    afterEach(async () => {
      await drive.down(true)
      await drive.end()
    })
    afterAll(async () => {
      await world.dispose()
    })

    const signal = (): AbortSignal => AbortSignal.timeout(60_000)
    const instanceOf = async (service: string): Promise<Instance> => {
      const { instances } = await world.engine.observe(signal())
      const found = instances.find((instance) => instance.service === service)
      if (found === undefined) throw new Error(`${service} has no instance`)
      return found
    }
    describeLive({ world: () => world, drive: () => drive, instanceOf })

    test('an up brings everything up, and a second one finds nothing to do', async () => {
      const first = await drive.up(STACK)
      expect(first.failures).toEqual([])
      const before = await world.engine.observe(signal())
      expect(Object.fromEntries(before.instances.map(({ service, state }) => [service, state]))).toEqual({
        store: 'running',
        once: 'exited',
        app: 'running',
      })
      const second = await drive.up(STACK)
      expect(formatPlan(second.plan)).toBe('nothing to do')
      const after = await world.engine.observe(signal())
      expect(after.instances.map(({ id, startedAt }) => ({ id, startedAt }))).toEqual(
        before.instances.map(({ id, startedAt }) => ({ id, startedAt })),
      )
    })

    test('another process finds the same stack and nothing to do', async () => {
      await drive.up(STACK)
      const other = await startDrive(world.reopen())
      try {
        expect(formatPlan((await other.up(STACK)).plan)).toBe('nothing to do')
      } finally {
        await other.end()
      }
    })

    test('a service starts only when its dependencies are healthy and completed', async () => {
      const seen: string[] = []
      const unsubscribe = drive.store.subscribe((event) => seen.push(...milestones(event)))
      await drive.up(STACK)
      unsubscribe()
      const order = ['store started', 'store healthy', 'once started', 'once ended 0', 'app started']
      expect(seen.filter((line) => order.includes(line))).toEqual(order)
    })

    test('a crash is told with its exit code and the last lines', async () => {
      await drive.up(STACK)
      const stopped = nextEvent(world.engine, 'stopped')
      await stopped.connected
      await world.crash('app', 7)
      expect(await stopped.event).toMatchObject({
        service: 'app',
        exitCode: 7,
        oomKilled: false,
        willRestart: false,
        lastLines: expect.arrayContaining(['last words']) as unknown,
      })
      const instance = await instanceOf('app')
      expect(instance).toMatchObject({ state: 'exited', exitCode: 7 })
      const again = await drive.up(STACK)
      expect(formatPlan(again.plan)).toBe('start app (exited 7)')
      expect(again.failures).toEqual([])
    })

    test('a cancelled build ends with the reason and leaves no process and no instance', async () => {
      const cancel = new AbortController()
      const reason = new Error('the user changed their mind')
      const coming = drive.up(['slow'], cancel.signal)
      coming.catch(() => undefined)
      await eventually(async () => expect(await world.building()).not.toEqual([]), 30_000)
      cancel.abort(reason)
      await expect(coming).rejects.toBe(reason)
      await eventually(async () => expect(await world.building()).toEqual([]))
      const { instances } = await world.engine.observe(signal())
      expect(instances.filter(({ service }) => service === 'slow')).toEqual([])
    })

    test('an aborted signal is answered with its reason, before anything is done', async () => {
      const reason = new Error('too late')
      await expect(world.engine.observe(AbortSignal.abort(reason))).rejects.toBe(reason)
    })

    test('an unknown service is refused by name', async () => {
      await expect(drive.up(['stroe'])).rejects.toMatchObject({
        code: 'UNKNOWN_SERVICE',
        hint: expect.stringContaining('store') as unknown,
      })
      expect(await world.things()).toEqual([])
    })

    test('a command in a service that does not run is refused with what to do', async () => {
      const request = {
        service: 'app',
        argv: ['true'],
        tty: false,
        interactive: false,
        user: null,
        workdir: null,
        env: {},
      }
      await expect(world.engine.exec(request, signal())).rejects.toMatchObject({
        code: 'SERVICE_FAILED',
        hint: 'devstack up app',
      })
      await drive.up(STACK)
      expect(await world.engine.exec(request, signal())).toBe(0)
      expect(await world.engine.exec({ ...request, argv: ['false'] }, signal())).toBe(1)
    })

    test('nothing is left after down, and a second down is no error', async () => {
      await drive.up(STACK)
      expect((await world.things()).length).toBeGreaterThan(0)
      await drive.down(true)
      expect(await world.things()).toEqual([])
      await drive.down(true)
    })
  })
}

function milestones(event: Event): readonly string[] {
  switch (event.type) {
    case 'instanceStarted':
      return [`${event.service} started`]
    case 'instanceStopped':
      return [`${event.service} ended ${String(event.exitCode)}`]
    case 'serviceHealthChanged':
      return [`${event.service} ${event.health}`]
    default:
      return []
  }
}

/** The first event of a type after `connected` resolves. */
function nextEvent(
  engine: Engine,
  type: EngineEvent['type'],
): { readonly connected: Promise<void>; readonly event: Promise<EngineEvent> } {
  const connected = Promise.withResolvers<void>()
  const find = async (): Promise<EngineEvent> => {
    for await (const event of engine.events(AbortSignal.timeout(30_000))) {
      if (event.type === 'connected') connected.resolve()
      if (event.type === type) return event
    }
    throw new Error(`no event "${type}" came`)
  }
  return { connected: connected.promise, event: find() }
}
