import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { livePreset } from '../../../src/presets/live.js'
import { FakeInside, files, never, type FakeProcess } from '../fake-inside.js'

const preset =
  livePreset('react', { folder: join(import.meta.dirname, '../../../src/presets') }) ??
  expect.fail('there is no react preset')

const HELLO = { type: 'hello', protocol: 1, server: 'vite', port: 5173, root: '/app', canary: true }

/** A Vite that is found, and answers every question with `answer`. */
function vite(answer: object, hello: object = HELLO): FakeInside {
  const inside = new FakeInside()
  inside.onOpen = (process) => {
    process.say(hello)
    process.onLine = ({ id }) => process.say({ id, ...answer })
  }
  return inside
}

const taken = { type: 'taken', what: 'update', detail: 'Vite named it' }

describe('Vite is attached to', () => {
  test('by a program that is sent before', async () => {
    const support = await preset.support(new FakeInside().service)
    expect(support.map(({ target }) => target)).toContain('/.devstack/react/vite-watch.mjs')
    expect(support.filter(({ target }) => !target.endsWith('.mjs'))).toEqual([])
  })

  test('which is told where the root may be, and where nothing may be written', async () => {
    const inside = vite(taken)
    const rule = {
      action: 'sync',
      path: '/src',
      ignore: [],
      include: [],
      initialSync: false,
      exec: null,
      at: null,
    } as const
    inside.service = {
      ...inside.service,
      watch: [{ ...rule, target: '/app/src' }],
      binds: [{ source: '/home/me/lib', target: '/lib' }],
    }
    await preset.attach(inside.context(), never)
    const argv = inside.opened[0]?.argv ?? []
    expect(argv.slice(0, 2)).toEqual(['node', '/.devstack/react/vite-watch.mjs'])
    expect(JSON.parse(argv[2] ?? '')).toEqual({ wait: 60, folders: ['/app/src', '/app'], mounts: ['/lib'] })
  })

  test('in vain where something else serves: nothing is proven, with the reason', async () => {
    const reason = 'port 3000 answers, but not as Vite does'
    const attached = await preset.attach(vite(taken, { ...HELLO, server: null, reason }).context(), never)
    expect(attached.server).toBeNull()
    expect(attached.first).toEqual({ type: 'unproven', reason })
    expect(await attached.takeUp(files('/app/src/App.tsx'), never)).toEqual({ type: 'unproven', reason })
  })

  test('in vain where there is no Node', async () => {
    const inside = new FakeInside()
    inside.onOpen = (process) => process.finish(127, 'exec: "node": not found')
    const attached = await preset.attach(inside.context(), never)
    expect(attached.first).toEqual({ type: 'unproven', reason: 'exec: "node": not found' })
  })
})

describe('what Vite says of files', () => {
  const error = {
    message: 'Unexpected token',
    file: '/app/src/App.tsx',
    line: 3,
    column: 7,
    output: ['frame'],
  }
  const failed = {
    type: 'failed',
    message: 'Unexpected token',
    place: { file: '/app/src/App.tsx', line: 3, column: 7 },
    output: ['frame'],
  }

  test.each([
    [taken, taken],
    [{ type: 'failed', error }, failed],
    [
      { type: 'failed', error: { ...error, line: null } },
      { ...failed, place: null },
    ],
    [
      { type: 'restart', reason: 'x' },
      { type: 'restart', reason: 'x' },
    ],
    [
      { type: 'unproven', reason: 'x' },
      { type: 'unproven', reason: 'x' },
    ],
  ])('%j is %j', async (answer, result) => {
    const attached = await preset.attach(vite(answer).context(), never)
    expect(await attached.takeUp(files('/app/src/App.tsx'), never)).toEqual(result)
  })

  test.each([['/app/package.json'], ['/app/package-lock.json'], ['/app/yarn.lock']])(
    '%s is not asked for: packages that are loaded stay loaded',
    async (file) => {
      const attached = await preset.attach(vite(taken).context(), never)
      expect((await attached.takeUp(files(file), never)).type).toBe('restart')
    },
  )

  test('what an open page meets is told without being asked', async () => {
    const inside = new FakeInside()
    const opened = Promise.withResolvers<FakeProcess>()
    inside.onOpen = (process) => {
      process.say(HELLO)
      opened.resolve(process)
    }
    await preset.attach(inside.context(), never)
    ;(await opened.promise).say({ type: 'changed', error })
    await expect.poll(() => inside.changes).toEqual([failed])
  })
})
