import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import {
  Control,
  environment,
  FLASK,
  freePort,
  http,
  lives,
  pause,
  Served,
  until,
  uwsgi,
} from './reloader-rig.js'

let venv = ''
beforeAll(async () => {
  venv = await environment(FLASK)
}, 300_000)

const INI = (processes = 2, more = ''): string => `[uwsgi]
home = ${venv}
module = wsgi:application
socket = %d/app.sock
chmod-socket = 660
master = true
processes = ${String(processes)}
${more}`

const WSGI = `
import os, time
from flask import Flask, Response, render_template
from shop.words import WORD

def create_app():
    app = Flask("shop", template_folder=os.path.abspath("templates"), static_folder=os.path.abspath("static"))
    @app.get("/")
    def index():
        return WORD
    @app.get("/pid")
    def pid():
        return str(os.getpid())
    @app.get("/page")
    def page():
        return render_template("page.html")
    @app.get("/slow")
    def slow():
        def parts():
            yield WORD + " began,"
            while not os.path.exists("go-on"):
                time.sleep(0.01)
            yield WORD + " ended"
        return Response(parts())
    @app.get("/die")
    def die():
        os._exit(3)
    return app

application = create_app()
`
const files = (word = 'one', more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  'wsgi.py': WSGI,
  'shop/__init__.py': '',
  'shop/words.py': `WORD = "${word}"\n`,
  'templates/page.html': 'page one',
  'static/site.css': '',
  'tests/test_words.py': '',
  ...more,
})
const start = async (processes = 2, more: Readonly<Record<string, string>> = {}, ini = ''): Promise<Served> =>
  Served.start(['uwsgi', '--ini', 'uwsgi.ini'], { ...files('one', more), 'uwsgi.ini': INI(processes, ini) })
const get = async (served: Served, path = '/'): Promise<string> =>
  (await uwsgi(join(served.folder, 'app.sock'), path)).body

describe('a save is running code', () => {
  test('what is asked after the answer meets the new code, also of two saves of one length in a second', async () => {
    await using served = await start()
    await served.settled()
    for (let count = 100; count < 130; count += 1) {
      const said = await served.save('shop/words.py', `WORD = "${String(count)}"\n`)
      expect(said).toMatchObject({ type: 'reloaded', what: 'app' })
      expect(await Promise.all([get(served), get(served), get(served)])).toEqual(Array(3).fill(String(count)))
    }
  })

  test('the greeting says what is served', async () => {
    await using served = await start()
    const control = await served.control()
    expect(await control.hello).toMatchObject({
      type: 'hello',
      protocol: 1,
      server: 'reloader',
      app: 'wsgi:application',
      generation: 1,
      state: 'serving',
      threads: 1,
      addresses: [`unix:${join(served.folder, 'app.sock')}`],
      error: null,
      debugger: null,
    })
  })

  test('there are as many workers as the command asks for, each with newly loaded code', async () => {
    await using served = await start(3)
    const control = await served.settled()
    await served.save('shop/words.py', 'WORD = "two"\n')
    const { workers } = await until(
      () => control.ask({ type: 'status' }),
      (status) => status.workers?.length === 3,
    )
    const seen = new Set<string>()
    await until(
      async () => seen.add(await get(served, '/pid')),
      () => seen.size === 3,
    )
    expect(new Set([...seen].map(Number))).toEqual(new Set(workers))
  })

  test('no request is refused or lost while it reloads again and again', async () => {
    await using served = await start()
    await served.settled()
    const ended = new AbortController()
    const bad: string[] = []
    let count = 0
    const clients = Array.from({ length: 4 }, async () => {
      while (!ended.signal.aborted) {
        const body = await get(served).catch(String)
        count += 1
        if (!/^\d+$|^one$/.test(body)) bad.push(body)
        await pause(5)
      }
    })
    for (let number = 0; number < 30; number += 1)
      await served.save('shop/words.py', `WORD = "${String(number)}"\n`)
    ended.abort()
    await Promise.all(clients)
    expect(bad).toEqual([])
    expect(count).toBeGreaterThan(30)
  })

  test('an answer that is being streamed is finished by the code that began it', async () => {
    await using served = await start(1)
    await served.settled()
    const slow = get(served, '/slow')
    await until(
      () => served.log(),
      () => true,
    )
    await pause(100)
    await served.save('shop/words.py', 'WORD = "two"\n')
    expect(await get(served)).toBe('two')
    await served.write('go-on', '')
    expect(await slow).toBe('one began,one ended')
  })

  test('a template is read anew by the same worker, a static file by nobody', async () => {
    await using served = await start(2)
    await served.settled()
    await served.save('shop/words.py', 'WORD = "two"\n')
    expect(await get(served, '/page')).toBe('page one')
    expect(await served.save('templates/page.html', 'page two')).toMatchObject({
      type: 'reloaded',
      what: 'templates',
    })
    for (let turn = 0; turn < 4; turn += 1) expect(await get(served, '/page')).toBe('page two')
    // Which folders are static is asked of the workers a moment after a reload; until then the file could be anything.
    await vi.waitFor(
      async () =>
        expect(await served.save('static/site.css', 'a {}')).toMatchObject({
          type: 'reloaded',
          what: 'nothing',
        }),
      { timeout: 15_000, interval: 400 },
    )
  })

  test('a test that no worker imported changes nothing, one that was imported does', async () => {
    await using served = await start(1)
    const control = await served.settled()
    const { generation } = await control.ask({ type: 'status' })
    expect(await served.save('tests/test_words.py', 'x = 1\n')).toMatchObject({ what: 'nothing', generation })
    await served.save('shop/words.py', 'from tests.test_words import x\nWORD = str(x)\n')
    expect(await get(served)).toBe('1')
    expect(await served.save('tests/test_words.py', 'x = 2\n')).toMatchObject({ what: 'app' })
    expect(await get(served)).toBe('2')
  })

  test('an unknown file loads the application again: it may be read at import', async () => {
    await using served = await start(1, {
      'shop/words.py': 'WORD = open("word.txt").read()\n',
      'word.txt': 'one',
    })
    await served.settled()
    expect(await served.save('word.txt', 'two')).toMatchObject({ type: 'reloaded', what: 'app' })
    expect(await get(served)).toBe('two')
  })

  test.each([
    ['static_folder', 'static'],
    ['template_folder', 'templates'],
  ])('as is one in the %s, where that holds modules of the application too', async (name, plain) => {
    await using served = await start(1, {
      'wsgi.py': WSGI.replace(`${name}=os.path.abspath("${plain}")`, `${name}=os.path.abspath("shop")`),
      'shop/words.py': 'WORD = open("shop/word.txt").read()\n',
      'shop/word.txt': 'one',
    })
    await served.settled()
    expect(await served.save('shop/word.txt', 'two')).toMatchObject({ type: 'reloaded', what: 'app' })
    expect(await get(served)).toBe('two')
  })

  test('a worker that does not confirm that it reads a template anew: the application is loaded again', async () => {
    const dies =
      'class Dies(dict):\n    def clear(self):\n        os._exit(3)\napplication.jinja_env.cache = Dies()\n'
    await using served = await start(1, { 'wsgi.py': WSGI + dies })
    await served.settled()
    expect(await get(served, '/page')).toBe('page one')
    expect(await served.save('templates/page.html', 'page two')).toMatchObject({
      type: 'reloaded',
      what: 'app',
    })
    expect(await get(served, '/page')).toBe('page two')
  })

  test('reloads that are asked for together are one, and each is answered', async () => {
    await using served = await start(1)
    const control = await served.settled()
    await served.write('shop/words.py', 'WORD = "two"\n')
    const path = join(served.folder, 'shop/words.py')
    const answers = await Promise.all(Array.from({ length: 20 }, () => control.reload([path])))
    expect(answers.map((said) => said.type)).toEqual(Array(20).fill('reloaded'))
    const last = Math.max(...answers.map((said) => said.generation ?? 0))
    expect(last - Math.min(...answers.map((said) => said.generation ?? 0))).toBeLessThan(4)
    expect(await get(served)).toBe('two')
  })

  test('a namespace package, a new module and a deleted one', async () => {
    await using served = await start(1, {
      'space/part/mod.py': 'V = "n1"\n',
      'shop/words.py': 'from space.part.mod import V as WORD\n',
    })
    await served.settled()
    expect(await get(served)).toBe('n1')
    await served.save('space/part/mod.py', 'V = "n2"\n')
    expect(await get(served)).toBe('n2')
    await served.write('space/part/other.py', 'V = "n3"\n')
    await served.save('shop/words.py', 'from space.part.other import V as WORD\n')
    expect(await get(served)).toBe('n3')
  })
})

describe('code that does not load', () => {
  test.each([
    ['a syntax error', 'WORD = "two\n', /SyntaxError/, 1],
    ['an import error', 'x = 1\nimport no_such_thing\n', /no_such_thing/, 2],
    ['an exception', 'WORD = ""\n1 / 0\n', /ZeroDivisionError/, 2],
    ['an exit', 'import sys\nsys.exit(4)\n', /SystemExit/, 2],
  ])(
    '%s keeps the last good workers answering, and the next good save recovers',
    async (_name, text, message, line) => {
      await using served = await start()
      const control = await served.settled()
      const said = await served.save('shop/words.py', text)
      expect(said).toMatchObject({
        type: 'failed',
        serving: true,
        error: { file: join(served.folder, 'shop/words.py'), line },
      })
      expect(said.error?.message).toMatch(message)
      expect(said.error?.traceback.join('\n')).toMatch(message)
      expect(said.error?.traceback.join('\n')).not.toContain('devstack_reloader')
      expect(await get(served)).toBe('one')
      expect(await control.ask({ type: 'status' })).toMatchObject({ state: 'serving', error: { line } })
      expect(await served.save('shop/words.py', 'WORD = "three"\n')).toMatchObject({ type: 'reloaded' })
      expect(await get(served)).toBe('three')
      expect((await control.ask({ type: 'status' })).error).toBeNull()
    },
  )

  test('a worker that crashes while it loads is a failure too', async () => {
    await using served = await start()
    await served.settled()
    const said = await served.save('shop/words.py', 'import os\nos.kill(os.getpid(), 11)\n')
    expect(said).toMatchObject({ type: 'failed', serving: true })
    expect(said.error?.message).toContain('SIGSEGV')
    expect(await get(served)).toBe('one')
  })

  test('a first start that fails answers why, and recovers', async () => {
    await using served = await start(2, { 'shop/words.py': '1 / 0\n' })
    const control = await served.control()
    expect(await control.hello).toMatchObject({ state: 'failed', generation: 0, error: { line: 1 } })
    const answer = await until(
      () => uwsgi(join(served.folder, 'app.sock')),
      ({ status }) => status === 500,
    )
    expect(answer.body).toContain('ZeroDivisionError')
    expect(await served.save('shop/words.py', '1 / 0 + 1\n')).toMatchObject({
      type: 'failed',
      serving: false,
    })
    expect(await served.save('shop/words.py', 'WORD = "two"\n')).toMatchObject({
      type: 'reloaded',
      generation: 1,
    })
    expect(await get(served)).toBe('two')
    await until(
      () => control.ask({ type: 'status' }),
      (status) => status.workers?.length === 2,
    )
  })
})

describe('processes', () => {
  test('a worker that dies is replaced by one of the same generation', async () => {
    await using served = await start(1)
    const control = await served.settled()
    const before = await control.ask({ type: 'status' })
    await get(served, '/die')
    expect(await get(served)).toBe('one')
    const after = await until(
      () => control.ask({ type: 'status' }),
      (status) => (status.workers ?? []).length === 1 && status.workers?.[0] !== before.workers?.[0],
    )
    expect(after.generation).toBe(before.generation)
    await until(
      () => served.log(),
      (log) => log.includes('ended with 3'),
    )
    await until(
      () => control.others,
      (said) => said.some(({ type }) => type === 'changed'),
    )
  })

  test('an application that cannot be loaded for a worker that died is told once that is known', async () => {
    await using served = await start(1)
    const control = await served.settled()
    const before = control.others.length
    await served.write(
      'shop/words.py',
      'import os, time\nwhile not os.path.exists("go-on"): time.sleep(0.01)\n1 / 0\n',
    )
    await get(served, '/die')
    await until(
      () => control.ask({ type: 'status' }),
      ({ workers, loading }) => workers?.length === 0 && loading === true,
    )
    const later = Control.open(join(served.folder, '.control'))
    // What it answers shows that it is connected, and not greeted as long as nobody serves.
    expect(await later.ask({ type: 'status' })).toMatchObject({ workers: [] })
    await served.write('go-on', '')
    expect(await later.hello).toMatchObject({ state: 'failed', error: { line: 3 } })
    later.close()
    const told = await until(
      () => control.others.slice(before),
      (said) => said.length > 0,
    )
    expect(told).toMatchObject([{ type: 'changed', state: 'failed', error: { line: 3 } }])
  })

  test('an application that could be loaded only once is told, though it is served still', async () => {
    const once = 'import os\nif os.path.exists("loaded"): 1 / 0\nopen("loaded", "w").close()\nWORD = "one"\n'
    await using served = await start(1, { 'shop/words.py': once })
    const control = await served.control()
    const told = await until(
      () => control.others,
      (said) => said.length > 0,
    )
    expect(told).toMatchObject([{ type: 'changed', state: 'serving', error: { line: 2 } }])
    expect(await get(served)).toBe('one')
  })

  test('SIGTERM lets a request finish, and leaves no process and no socket', async () => {
    await using served = await start(2)
    const control = await served.settled()
    const { workers } = await control.ask({ type: 'status' })
    const slow = get(served, '/slow')
    await pause(200)
    const ended = served.end()
    await pause(100)
    await served.write('go-on', '')
    expect(await slow).toBe('one began,one ended')
    expect(await ended).toBe(0)
    await expect(get(served)).rejects.toThrow(/ENOENT/)
    for (const pid of workers ?? [])
      await until(
        () => lives(pid),
        (lived) => !lived,
      )
  })

  test('workers do not outlive a supervisor that was killed', async () => {
    await using served = await start(2)
    const control = await served.settled()
    const { workers } = await until(
      () => control.ask({ type: 'status' }),
      (status) => status.workers?.length === 2,
    )
    await served.end('SIGKILL')
    for (const pid of workers ?? [])
      await until(
        () => lives(pid),
        (lived) => !lived,
      )
  })

  test('a port that the application opens itself moves from worker to worker', async () => {
    const port = await freePort()
    const module = `
import socket
S = socket.socket()
S.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
S.bind(("127.0.0.1", ${String(port)}))
S.listen()
`
    await using served = await start(2, { 'shop/words.py': `${module}WORD = "one"\n` })
    const control = await served.settled()
    expect(await served.save('shop/words.py', `${module}WORD = "two"\n`)).toMatchObject({ type: 'reloaded' })
    expect(await get(served)).toBe('two')
    expect(await served.save('shop/words.py', `${module}WORD = "three"\n`)).toMatchObject({
      type: 'reloaded',
    })
    expect(await get(served)).toBe('three')
    expect((await control.ask({ type: 'status' })).workers).toHaveLength(1)
  })

  test('modules whose import starts a thread are left to the workers', async () => {
    const thread =
      'import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n'
    await using served = await start(1, {
      'lib/site-packages/noisy.py': thread,
      'lib/site-packages/loud.py': 'import noisy\n',
      'lib/site-packages/quiet.py': 'VALUE = "quiet"\n',
      'shop/words.py':
        'import sys; sys.path.insert(0, "lib/site-packages")\nimport loud, quiet\nWORD = str(__import__("threading").active_count())\n',
    })
    await served.settled()
    const once = await get(served)
    await served.save(
      'shop/words.py',
      'import sys; sys.path.insert(0, "lib/site-packages")\nimport loud, quiet\nWORD = "n" + str(__import__("threading").active_count())\n',
    )
    expect(await get(served)).toBe(`n${once}`)
  })
})

describe('refused by name', () => {
  test.each([
    [
      'an application that imports uwsgi',
      'import uwsgi\nWORD = ""\n',
      '',
      /the app imports uwsgi \(shop\/words.py:1\)/,
    ],
    ['gevent', 'WORD = ""\n', 'gevent = 100', /uwsgi's gevent/],
    ['a mule', 'WORD = ""\n', 'mule = true', /uwsgi's mule/],
  ])('%s: the original command runs, and the client is told why', async (_name, text, ini, reason) => {
    const fake = '#!/bin/sh\necho "FakeUwsgi $@"\nexec sleep 30\n'
    await using served = await Served.start(
      ['sh', '-c', 'chmod +x bin/uwsgi; exec bin/uwsgi --ini uwsgi.ini'],
      { ...files('one', { 'shop/words.py': text }), 'uwsgi.ini': INI(1, ini), 'bin/uwsgi': fake },
    ).then(async (wrong) => {
      // A script of two commands is refused itself; it has made the second one's program executable.
      await until(
        () => wrong.log(),
        (log) => log.includes('FakeUwsgi'),
      )
      await wrong.end('SIGKILL')
      return Served.start(['bin/uwsgi', '--ini', 'uwsgi.ini'], {}, {}, wrong.folder)
    })
    const hello = await (await served.control()).hello
    expect(hello).toMatchObject({ type: 'hello', server: 'original' })
    expect(hello.reason).toMatch(reason)
    const control = await served.control()
    const answer = await control.reload([join(served.folder, 'shop/words.py')])
    expect(answer).toEqual({ id: answer.id, type: 'restart', reason: hello.reason })
    await until(
      () => served.log(),
      (log) => log.includes('FakeUwsgi --ini uwsgi.ini'),
    )
    expect(served.log()).toMatch(/devstack: .*: running uwsgi as it is/)
  })
})

describe('other servers', () => {
  const app = (word: string): string => `
from flask import Flask
app = Flask(__name__)
@app.get("/")
def index():
    return "${word}"
`
  const main = (port: number): string => `
if __name__ == "__main__":
    app.run(port=${String(port)})
`
  test.each([
    ['flask', ['flask', '--app', 'site_app', 'run', '-p', 'PORT']],
    ['python -m flask', ['python', '-m', 'flask', '--app=site_app:app', 'run', '--port=PORT']],
    ['gunicorn', ['gunicorn', '-w', '2', '-b', '127.0.0.1:PORT', 'site_app:app']],
    ['waitress', ['waitress-serve', '--listen=127.0.0.1:PORT', 'site_app:app']],
    ['a script', ['python', 'site_app.py']],
    ['a shell in between', ['sh', '-c', 'exec gunicorn --bind=127.0.0.1:PORT site_app:app']],
  ])('%s', async (_name, words) => {
    const port = await freePort()
    const env = { PATH: `${join(venv, 'bin')}:${process.env['PATH'] ?? ''}` }
    const script = (word: string): string => app(word) + main(port)
    await using served = await Served.start(
      words.map((word) => word.replace('PORT', String(port))),
      { 'site_app.py': script('one') },
      env,
    )
    await served.settled()
    expect((await http(port)).body).toBe('one')
    expect(await served.save('site_app.py', script('two'))).toMatchObject({ type: 'reloaded' })
    expect((await http(port)).body).toBe('two')
    expect((await http(port, '/none')).status).toBe(404)
    expect((await http(port)).headers['connection']).toBe('close')
  })
})
