import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { livePreset } from '../../../src/presets/live.js'
import { FakeInside, files, never, type FakeProcess } from '../fake-inside.js'

const folder = join(import.meta.dirname, '../../../src/presets')
const preset = livePreset('flask', { folder }) ?? expect.fail('there is no flask preset')

const HELLO = {
  type: 'hello',
  protocol: 1,
  server: 'reloader',
  app: 'wsgi:application',
  generation: 1,
  state: 'serving',
  workers: [11, 12],
  threads: 1,
  addresses: ['unix:/run/shop/api.sock'],
  warm: 143,
  error: null,
}

const ERROR = {
  message: 'SyntaxError: invalid syntax',
  file: '/app/shop/x.py',
  line: 3,
  column: 5,
  traceback: ['  File "/app/shop/x.py", line 3\n    def\n', 'SyntaxError: invalid syntax\n'],
}

/** A reloader that greets and answers every request with what `answer` makes of it. */
function reloader(
  answer: (request: Readonly<Record<string, unknown>>) => object,
  hello: object = HELLO,
): FakeInside {
  const inside = new FakeInside()
  inside.onOpen = (process) => {
    process.say(hello)
    process.onLine = (request) => process.say({ id: request['id'], ...answer(request) })
  }
  return inside
}

const reloaded = () => ({
  type: 'reloaded',
  what: 'app',
  generation: 2,
  workers: [13, 14],
  ms: { total: 17.4 },
})

describe('the reloader is attached to', () => {
  test('its own files are sent before: every Python file, each to its place', async () => {
    const support = await preset.support(new FakeInside().service)
    const own = await readdir(join(folder, 'flask/reloader'), { recursive: true })
    expect(support.map(({ target }) => target)).toEqual(
      own
        .filter((file) => file.endsWith('.py'))
        .map((file) => `/.devstack/flask/${file}`)
        .sort(),
    )
    expect(support.map(({ mode }) => mode)).toContain(0o644)
    expect(support.map(({ target }) => target)).toContain('/.devstack/flask/ctl.py')
  })

  test('as the user of the container, and it says how the app stands', async () => {
    const inside = reloader(reloaded)
    const attached = await preset.attach(inside.context(), never)
    expect(inside.opened).toEqual([
      {
        argv: ['python3', '-B', '-S', '-E', '/.devstack/flask/ctl.py', '--wait', '60'],
        user: null,
        workdir: null,
        env: {},
      },
    ])
    expect(attached.server).toEqual({ name: 'devstack reloader', reason: null })
    expect(attached.first).toEqual({ type: 'taken', what: 'start', detail: 'generation 1, 2 workers' })
  })

  test('an app that does not start is failed at its place', async () => {
    const inside = reloader(reloaded, { ...HELLO, state: 'failed', workers: [], error: ERROR })
    expect((await preset.attach(inside.context(), never)).first).toEqual({
      type: 'failed',
      message: 'SyntaxError: invalid syntax',
      place: { file: '/app/shop/x.py', line: 3, column: 5 },
      output: ['  File "/app/shop/x.py", line 3', '    def', 'SyntaxError: invalid syntax'],
    })
  })

  test('where an older generation serves, since the files do not load, they are failed', async () => {
    const inside = reloader(reloaded, { ...HELLO, error: ERROR })
    expect((await preset.attach(inside.context(), never)).first).toMatchObject({
      type: 'failed',
      message: 'SyntaxError: invalid syntax',
      place: { file: '/app/shop/x.py', line: 3, column: 5 },
    })
  })

  test('by another name of Python where there is no python3', async () => {
    const inside = reloader(reloaded)
    const { onOpen } = inside
    inside.onOpen = (process, argv) =>
      argv[0] === 'python3' ? process.finish(127, 'exec: "python3": not found') : onOpen(process, argv)
    const attached = await preset.attach(inside.context(), never)
    expect(attached.first.type).toBe('taken')
    expect(inside.opened.map(({ argv }) => argv[0])).toEqual(['python3', 'python'])
  })

  test('in vain where nobody answers: unproven with the reason, and a restart for each file', async () => {
    const inside = new FakeInside()
    inside.onOpen = (process) => process.finish(1, 'no reloader answers in this container: waited 60 s\n')
    const attached = await preset.attach(inside.context(), never)
    const reason = 'no reloader answers in this container: waited 60 s'
    expect(attached.first).toEqual({ type: 'unproven', reason })
    expect(await attached.takeUp(files('/app/a.py'), never)).toEqual({ type: 'restart', reason })
  })

  test('not for ever where the container was started without it', async () => {
    const inside = new FakeInside()
    inside.onRun = () => ({ exitCode: 0, lines: ['uwsgi--ini/app/uwsgi.ini'] })
    const attached = await preset.attach(inside.context(), never)
    expect(attached.first).toEqual({
      type: 'unproven',
      reason: 'the container was started without the reloader',
    })
  })

  test('until it is aborted', async () => {
    const reason = new Error('stopped by the test')
    const inside = new FakeInside()
    let opened: FakeProcess | null = null
    const control = new AbortController()
    inside.onOpen = (process) => {
      opened = process
      control.abort(reason)
    }
    await expect(preset.attach(inside.context(), control.signal)).rejects.toBe(reason)
    expect(opened).toHaveProperty('closed', true)
  })

  test('a server that the reloader refused to replace is named, and restarted for each file', async () => {
    const reason = 'the app imports uwsgi (shop/x.py:3)'
    const inside = reloader(reloaded, { type: 'hello', protocol: 1, server: 'original', reason })
    const attached = await preset.attach(inside.context(), never)
    expect(attached.server?.reason).toBe(reason)
    expect(attached.first.type).toBe('taken')
    expect(await attached.takeUp(files('/app/a.py'), never)).toEqual({ type: 'restart', reason })
  })
})

describe('delivered files are taken up', () => {
  test.each([
    [{ type: 'reloaded', what: 'nothing', generation: 2, workers: [1] }, 'taken'],
    [{ type: 'failed', error: ERROR, generation: 1, serving: true }, 'failed'],
    [{ type: 'restart', reason: 'a C extension of the app changed: /app/x.so' }, 'restart'],
    [{ type: 'error', message: 'not a message' }, 'unproven'],
  ])('the answer %j is %s', async (answer, type) => {
    const attached = await preset.attach(reloader(() => answer).context(), never)
    expect((await attached.takeUp(files('/app/a.py'), never)).type).toBe(type)
  })

  test('when every worker has them, with what it took', async () => {
    const attached = await preset.attach(reloader(reloaded).context(), never)
    expect(await attached.takeUp(files('/app/a.py'), never)).toEqual({
      type: 'taken',
      what: 'app',
      detail: 'generation 2, 2 workers, 17 ms',
    })
  })

  test.each([
    [files('/app/shop/x.py'), 'auto'],
    [files('/app/shop/x.py', '/app/requirements.txt'), 'dependencies'],
    [files('/app/poetry.lock'), 'dependencies'],
    [files('/app/my-requirements.py'), 'auto'],
    [files(), 'app'],
  ])('%j are told with what: %s', async (delivered, what) => {
    const asked: unknown[] = []
    const inside = reloader((request) => {
      asked.push(request)
      return reloaded()
    })
    await (await preset.attach(inside.context(), never)).takeUp(delivered, never)
    expect(asked).toEqual([{ id: 1, type: 'reload', what, files: delivered.written, deleted: [] }])
  })

  test.each([
    [files('/app/requirements/base.txt'), 'dependencies'],
    [{ written: [], deleted: ['/app/requirements/base.txt'] }, 'dependencies'],
    [files('/app/constraints.txt', '/app/shop/x.py'), 'dependencies'],
    [files('/app/constraints.txt.py'), 'auto'],
    [files('/app/requirements/notes/x.md'), 'auto'],
  ])('%j: where a command runs for a file, what it installs is meant: %s', async (delivered, what) => {
    const asked: unknown[] = []
    const inside = reloader(({ what }) => {
      asked.push(what)
      return reloaded()
    })
    const rule = { path: '/src', ignore: [], include: [], initialSync: false, at: null } as const
    const exec = { argv: ['pip', 'install'], user: null, workdir: null, env: {} }
    inside.service = {
      ...inside.service,
      watch: [
        { ...rule, action: 'sync', target: '/app', exec: null },
        { ...rule, action: 'sync+exec', target: '/app/requirements', exec },
        { ...rule, action: 'sync+exec', target: '/app/constraints.txt', exec },
        { ...rule, action: 'sync', target: '/app/requirements/notes', exec: null },
        { ...rule, action: 'rebuild', target: null, exec: null },
      ],
    }
    await (await preset.attach(inside.context(), never)).takeUp(delivered, never)
    expect(asked).toEqual([what])
  })

  test('one reload at a time; what comes meanwhile goes out as one, and all get its result', async () => {
    const inside = new FakeInside()
    const asked: Readonly<Record<string, unknown>>[] = []
    const first = Promise.withResolvers<FakeProcess>()
    inside.onOpen = (process) => {
      process.say(HELLO)
      process.onLine = (request) => {
        asked.push(request)
        if (asked.length === 1) first.resolve(process)
        else process.say({ id: request['id'], ...reloaded(), generation: 3 })
      }
    }
    const attached = await preset.attach(inside.context(), never)
    const one = attached.takeUp(files('/app/a.py'), never)
    const process = await first.promise
    const two = attached.takeUp(files('/app/b.py', '/app/c.py'), never)
    const three = attached.takeUp({ written: [], deleted: ['/app/b.py'] }, never)
    process.say({ id: 1, ...reloaded() })
    const details = (await Promise.all([one, two, three])).map(
      (result) => 'detail' in result && result.detail,
    )
    expect(details).toEqual([
      'generation 2, 2 workers, 17 ms',
      'generation 3, 2 workers, 17 ms',
      'generation 3, 2 workers, 17 ms',
    ])
    expect(asked.slice(1)).toEqual([
      { id: 2, type: 'reload', what: 'auto', files: ['/app/c.py'], deleted: ['/app/b.py'] },
    ])
  })

  test('over a new connection where the first one broke', async () => {
    const inside = new FakeInside()
    inside.onOpen = (process) => {
      process.say(HELLO)
      process.onLine = (request) => {
        if (inside.opened.length === 1) process.finish(null)
        else process.say({ id: request['id'], ...reloaded() })
      }
    }
    const attached = await preset.attach(inside.context(), never)
    expect((await attached.takeUp(files('/app/a.py'), never)).type).toBe('taken')
    expect(inside.opened).toHaveLength(2)
  })

  test('or it cannot be told, where that breaks as well', async () => {
    const inside = new FakeInside()
    inside.onOpen = (process) => {
      process.say(HELLO)
      process.onLine = () => process.finish(null)
    }
    const attached = await preset.attach(inside.context(), never)
    expect((await attached.takeUp(files('/app/a.py'), never)).type).toBe('unproven')
    expect(inside.opened).toHaveLength(2)
  })

  test('who gives up waiting gets the reason, and the others their result', async () => {
    const inside = new FakeInside()
    const asked = Promise.withResolvers<FakeProcess>()
    inside.onOpen = (process) => {
      process.say(HELLO)
      process.onLine = () => asked.resolve(process)
    }
    const attached = await preset.attach(inside.context(), never)
    const control = new AbortController()
    const reason = new Error('stopped by the test')
    const given = attached.takeUp(files('/app/a.py'), control.signal)
    const process = await asked.promise
    control.abort(reason)
    await expect(given).rejects.toBe(reason)
    process.onLine = (request) => process.say({ id: request['id'], ...reloaded() })
    const patient = attached.takeUp(files('/app/b.py'), never)
    process.say({ id: 1, ...reloaded() })
    expect((await patient).type).toBe('taken')
  })
})

test('a worker that was replaced and an app that fails by itself are told', async () => {
  const inside = new FakeInside()
  const opened = Promise.withResolvers<FakeProcess>()
  inside.onOpen = (process) => {
    process.say(HELLO)
    opened.resolve(process)
  }
  await preset.attach(inside.context(), never)
  const process = await opened.promise
  process.say('a line that is no message')
  process.say({ ...HELLO, type: 'changed', workers: [11, 15] })
  process.say({ ...HELLO, type: 'changed', state: 'failed', error: ERROR })
  process.say({ ...HELLO, type: 'changed', error: ERROR })
  await expect.poll(() => inside.changes.map(({ type }) => type)).toEqual(['taken', 'failed', 'failed'])
})

describe('a migration is offered, not run', () => {
  test.each([
    ['/app/migrations/versions/0003_x.py', 'migrations/versions/0003_x.py', ['flask', 'db', 'upgrade']],
    ['/app/x/alembic/versions/a.py', 'alembic/versions/a.py', ['alembic', 'upgrade', 'head']],
  ])('%s', (file, name, argv) => {
    expect(preset.offer(['/app/a.py', file])).toEqual({ text: `a migration changed: ${name}`, argv })
  })

  test.each([
    ['/app/migrations/env.py'],
    ['/app/versions/x.py'],
    ['/app/migrations/versions/__pycache__/x.py'],
  ])('not for %s', (file) => {
    expect(preset.offer([file])).toBeNull()
  })
})
