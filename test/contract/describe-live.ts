import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Instance } from '../../src/core/project.js'
import type { Delivery, FileChange, InsideRequest } from '../../src/orchestrator/ports.js'
import type { EngineWorld } from './describe-engine.js'
import type { Drive } from './drive.js'
import { eventually } from './eventually.js'

/** What is brought up for most of the tests: `slow` is for those of a cancelled build. */
export const STACK = ['store', 'once', 'app']

/** The world of the test that runs. */
export interface LiveContext {
  readonly world: () => EngineWorld
  readonly drive: () => Drive
  readonly instanceOf: (service: string) => Promise<Instance>
}

/** What live update needs of an engine: files that come and go, and processes with pipes. */
export function describeLive(context: LiveContext): void {
  const { instanceOf } = context
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'devstack-contract-'))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })
  const signal = (): AbortSignal => AbortSignal.timeout(60_000)
  const hostFile = async (text: string): Promise<string> => {
    const path = join(folder, randomUUID())
    await writeFile(path, text)
    return path
  }
  const deliver = async (changes: readonly FileChange[]): Promise<Delivery> =>
    await context.world().engine.deliver(await instanceOf('app'), changes, signal())
  const inside = (argv: readonly string[]): InsideRequest => ({ argv, user: null, workdir: null, env: {} })

  describe('files', () => {
    test('files are created, changed and deleted in a running instance', async () => {
      await context.drive().up(STACK)
      expect(await context.world().readFile('app', '/app/main.txt')).toBe('first')
      const { bytes, written, failed } = await deliver([
        { type: 'write', source: await hostFile('changed'), target: '/app/main.txt', mode: 0o644 },
        { type: 'write', source: await hostFile('new'), target: '/app/deep/new.txt', mode: 0o644 },
      ])
      expect(bytes).toBe('changed'.length + 'new'.length)
      expect(failed).toEqual([])
      expect(written).toEqual({ '/app/main.txt': sha256('changed'), '/app/deep/new.txt': sha256('new') })
      expect(await context.world().readFile('app', '/app/main.txt')).toBe('changed')
      expect(await context.world().readFile('app', '/app/deep/new.txt')).toBe('new')
      await deliver([{ type: 'delete', target: '/app/deep/new.txt' }])
      expect(await context.world().readFile('app', '/app/deep/new.txt')).toBeNull()
      // A rename: the old name goes, the new one comes, in one batch.
      await deliver([
        { type: 'delete', target: '/app/main.txt' },
        { type: 'write', source: await hostFile('moved'), target: '/app/moved.txt', mode: 0o644 },
      ])
      expect(await context.world().readFile('app', '/app/main.txt')).toBeNull()
      expect(await context.world().readFile('app', '/app/moved.txt')).toBe('moved')
    })

    test('what was delivered is still there after a restart, and a recreated instance can be brought level', async () => {
      await context.drive().up(STACK)
      const changed: FileChange = {
        type: 'write',
        source: await hostFile('changed'),
        target: '/app/main.txt',
        mode: 0o644,
      }
      await deliver([changed])
      const before = await instanceOf('app')
      await context.drive().stop(['app'])
      await context.drive().up(STACK)
      // As long as it is the same instance its files are what they were.
      const same = (await instanceOf('app')).id === before.id
      expect(same).toBe(context.world().keepsStopped)
      expect(await context.world().readFile('app', '/app/main.txt')).toBe(same ? 'changed' : 'first')
      await context.drive().down(true)
      await context.drive().up(STACK)
      expect(await context.world().readFile('app', '/app/main.txt')).toBe('first')
      expect(
        Object.keys((await context.world().engine.manifest(await instanceOf('app'), signal())) ?? {}),
      ).toContain('/app/main.txt')
      await deliver([changed])
      expect(await context.world().readFile('app', '/app/main.txt')).toBe('changed')
    })

    test('a link is delivered as a link, and what the last change of a path says counts', async () => {
      await context.drive().up(STACK)
      const { written } = await deliver([
        { type: 'write', source: await hostFile('old'), target: '/app/real.txt', mode: 0o644 },
        { type: 'link', target: '/app/alias.txt', to: 'real.txt' },
        { type: 'write', source: await hostFile('new'), target: '/app/real.txt', mode: 0o644 },
      ])
      expect(written).toEqual({ '/app/real.txt': sha256('new'), '/app/alias.txt': sha256('link:real.txt') })
      expect(await context.world().readFile('app', '/app/alias.txt')).toBe('new')
    })

    test('what cannot be read is named, and the rest is delivered', async () => {
      await context.drive().up(STACK)
      const { written, failed } = await deliver([
        { type: 'write', source: join(folder, 'gone'), target: '/app/gone.txt', mode: 0o644 },
        { type: 'write', source: await hostFile('there'), target: '/app/there.txt', mode: 0o644 },
      ])
      expect(failed).toEqual([{ target: '/app/gone.txt', cause: 'it is gone' }])
      expect(Object.keys(written)).toEqual(['/app/there.txt'])
      expect(await context.world().readFile('app', '/app/there.txt')).toBe('there')
    })

    test('files are written and deleted where the instance’s own user may not', async () => {
      await context.drive().up(STACK)
      const target = '/srv/not-yours/file.txt'
      await deliver([{ type: 'write', source: await hostFile('text'), target, mode: 0o600 }])
      await deliver([{ type: 'write', source: await hostFile('again'), target, mode: 0o644 }])
      expect(await context.world().readFile('app', target)).toBe('again')
      await deliver([{ type: 'delete', target }])
      expect(await context.world().readFile('app', target)).toBeNull()
    })

    test('what is delivered to an instance that does not run is there once it does', async () => {
      const changes: readonly FileChange[] = [
        { type: 'delete', target: '/app/main.txt' },
        { type: 'write', source: await hostFile('new'), target: '/app/new.txt', mode: 0o644 },
      ]
      if (context.world().keepsStopped) {
        await context.drive().up(STACK)
        await context.drive().stop(['app'])
        await deliver(changes)
      } else {
        context.drive().level(async (instance) => {
          if (instance.service === 'app') await context.world().engine.deliver(instance, changes, signal())
        })
      }
      await context.drive().up(STACK)
      // Its program looked as it began.
      if (!context.world().keepsStopped)
        expect(await context.world().readFile('app', '/tmp/seen')).toMatch(/^new\.txt$/m)
      await eventually(async () => expect(await context.world().readFile('app', '/app/main.txt')).toBeNull())
      expect(await context.world().readFile('app', '/app/new.txt')).toBe('new')
    })

    test('a delivery to an instance that is gone is refused', async () => {
      await context.drive().up(STACK)
      const instance = await instanceOf('app')
      await context.drive().down(true)
      const change: FileChange = {
        type: 'write',
        source: await hostFile('x'),
        target: '/app/x',
        mode: 0o644,
      }
      await expect(context.world().engine.deliver(instance, [change], signal())).rejects.toMatchObject({
        code: 'DELIVERY_FAILED',
      })
    })

    test('a recreated instance has the Manifest of its image, not what was delivered to the one before', async () => {
      await context.drive().up(STACK)
      const before = await context.world().engine.manifest(await instanceOf('app'), signal())
      expect(before?.['/app/main.txt']).toBe(sha256('first'))
      await deliver([
        { type: 'write', source: await hostFile('changed'), target: '/app/main.txt', mode: 0o644 },
      ])
      await context.drive().down(true)
      await context.drive().up(STACK)
      expect(await context.world().engine.manifest(await instanceOf('app'), signal())).toEqual(before)
    })
  })

  describe('processes', () => {
    test('a process with pipes answers line by line, and ends when they are closed', async () => {
      await context.drive().up(STACK)
      const process = await context.world().engine.open(await instanceOf('app'), inside(['cat']), signal())
      const lines = process.lines[Symbol.asyncIterator]()
      process.write('{"one":"ü"}')
      expect(await lines.next()).toEqual({ done: false, value: '{"one":"ü"}' })
      process.write('two')
      expect((await lines.next()).value).toBe('two')
      process.close()
      expect(await process.ended).toEqual({ exitCode: 0, stderr: '' })
      expect((await lines.next()).done).toBe(true)
    })

    test('an abort closes the pipes of a process', async () => {
      await context.drive().up(STACK)
      const stop = new AbortController()
      const process = await context.world().engine.open(await instanceOf('app'), inside(['cat']), stop.signal)
      stop.abort()
      expect((await process.ended).exitCode).toBe(0)
    })

    test('a program that the instance does not have is refused by name', async () => {
      await context.drive().up(STACK)
      const instance = await instanceOf('app')
      const request = inside(['there-is-no-such-program'])
      const refusal = {
        code: 'EXEC_FAILED',
        message: expect.stringContaining(request.argv[0] ?? '') as unknown,
      }
      await expect(context.world().engine.open(instance, request, signal())).rejects.toMatchObject(refusal)
      await expect(
        context.world().engine.run(instance, request, () => undefined, signal()),
      ).rejects.toMatchObject(refusal)
    })

    test('a command runs to its end: its lines and its exit code', async () => {
      await context.drive().up(STACK)
      const instance = await instanceOf('app')
      const lines: string[] = []
      const run = (argv: readonly string[]) =>
        context.world().engine.run(instance, inside(argv), (line) => lines.push(line), signal())
      expect(await run(['echo', 'one two'])).toBe(0)
      expect(lines).toEqual(['one two'])
      expect(await run(['false'])).toBe(1)
    })

    test('a command that is aborted is answered with the reason', async () => {
      await context.drive().up(STACK)
      const stop = new AbortController()
      const reason = new Error('not wanted any more')
      const argv = ['sleep', 'infinity']
      const running = context
        .world()
        .engine.run(await instanceOf('app'), inside(argv), () => undefined, stop.signal)
      setImmediate(() => stop.abort(reason))
      await expect(running).rejects.toBe(reason)
    })

    test('no process is started in an instance that does not run', async () => {
      await context.drive().up(STACK)
      const instance = await instanceOf('app')
      await context.drive().stop(['app'])
      await expect(context.world().engine.open(instance, inside(['cat']), signal())).rejects.toMatchObject({
        code: 'EXEC_FAILED',
        hint: 'devstack up app',
      })
    })
  })
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
