import { spawn } from '@lydell/node-pty'
import { cp, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  Control,
  environment,
  FLASK,
  freePort,
  http,
  pause,
  RELOADER,
  Served,
  until,
} from './reloader-rig.js'

let venv = ''
let packages = ''
beforeAll(async () => {
  venv = await environment([...FLASK, 'debugpy==1.8.16'])
  const version = (await readdir(join(venv, 'lib'))).find((name) => name.startsWith('python')) ?? ''
  packages = join(venv, 'lib', version, 'site-packages')
}, 300_000)

const site = (word: string, more = ''): string => `
from flask import Flask
${more}
app = Flask(__name__)
@app.get("/")
def index():
    return "${word}"
`

async function flask(
  files: Readonly<Record<string, string>>,
  words: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Served & { readonly port: number }> {
  const port = await freePort()
  const command = [join(venv, 'bin', 'flask'), '--app', 'site_app', ...words, 'run', '-p', String(port)]
  return Object.assign(await Served.start(command, files, env), { port })
}

describe('what else a change can ask for', () => {
  test('an installed package is imported anew, by a new parent on the same socket', async () => {
    const text = site('', 'import dep').replace('""', 'dep.V')
    await using served = await flask(
      { 'lib/site-packages/dep.py': 'V = "dep 1"\n', 'site_app.py': text },
      [],
      { PYTHONPATH: 'lib/site-packages' },
    )
    const control = await served.settled()
    expect((await http(served.port)).body).toBe('dep 1')
    const ended = new AbortController()
    const bad: unknown[] = []
    const asker = (async () => {
      while (!ended.signal.aborted)
        await http(served.port).then(
          ({ status }) => status === 200 || bad.push(status),
          (error) => bad.push(error),
        )
    })()
    expect(await served.save('lib/site-packages/dep.py', 'V = "dep 2"\n')).toMatchObject({
      type: 'reloaded',
      what: 'dependencies',
    })
    expect((await http(served.port)).body).toBe('dep 2')
    expect(await control.ask({ type: 'reload', what: 'dependencies' })).toMatchObject({
      type: 'reloaded',
      what: 'dependencies',
    })
    ended.abort()
    await asker
    expect(bad).toEqual([])
  })

  test('a C extension of the application and the server’s own configuration ask for a restart', async () => {
    const ini = `[uwsgi]\nhome = ${venv}\nmodule = site_app:app\nhttp-socket = 127.0.0.1:${String(await freePort())}\n`
    const folder = await mkdtemp(join(tmpdir(), 'devstack-native-'))
    const [speedups = ''] = (await readdir(join(packages, 'markupsafe'))).filter((name) =>
      name.endsWith('.so'),
    )
    await cp(join(packages, 'markupsafe', speedups), join(folder, 'native', speedups))
    const files = { 'site_app.py': site('x', 'import native._speedups'), 'uwsgi.ini': ini, uwsgi: '' }
    await using again = await Served.start(['{folder}/uwsgi', 'uwsgi.ini'], files, {}, folder)
    const control = await again.settled()
    await control.reload([join(again.folder, 'site_app.py')])
    const native = join(again.folder, 'native', speedups)
    expect(
      await until(
        () => control.reload([native]),
        (said) => said.type === 'restart',
      ),
    ).toMatchObject({ reason: `a C extension of the app changed: ${native}` })
    const config = join(again.folder, 'uwsgi.ini')
    expect(await control.reload([config])).toMatchObject({
      type: 'restart',
      reason: `the server's configuration changed: ${config}`,
    })
  })

  test('a package that newer code begins to import is kept warm from then on', async () => {
    await using served = await flask({ 'site_app.py': site('x') })
    const control = await served.settled()
    const { warm } = await control.ask({ type: 'status' })
    await served.save('site_app.py', site('y', 'import xmlrpc.client'))
    const later = await until(
      () => control.ask({ type: 'status' }),
      (status) => (status.warm ?? 0) > (warm ?? 0),
    )
    expect(later.state).toBe('serving')
    expect((await http(served.port)).body).toBe('y')
  })

  test('a script that moves to another port is followed', async () => {
    const [first, second] = [await freePort(), await freePort()]
    const script = (port: number): string => `${site('x')}\napp.run(port=${String(port)})\n`
    await using served = await Served.start([join(venv, 'bin', 'python'), 'main.py'], {
      'main.py': script(first),
    })
    await served.settled()
    expect((await http(first)).body).toBe('x')
    await served.save('main.py', script(second))
    expect((await http(second)).body).toBe('x')
    await expect(http(first)).rejects.toThrow(/ECONNREFUSED/)
  })

  test('a connection that was opened before a save and asks after it meets the new code', async () => {
    await using served = await flask({ 'site_app.py': site('one') })
    await served.settled()
    const socket = connect(served.port, '127.0.0.1')
    await once(socket, 'connect')
    await pause(100)
    await served.save('site_app.py', site('two'))
    let text = ''
    socket.on('data', (data: Buffer) => (text += data.toString()))
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(socket, 'close')
    expect(text).toMatch(/two$/)
  })

  test('an application that is installed among the packages is an application all the same', async () => {
    const port = await freePort()
    const text = (word: string): string => `WORD = "${word}"\n`
    const init = site('x', 'from .words import WORD').replace('"x"', 'WORD')
    await using served = await Served.start(
      [join(venv, 'bin', 'gunicorn'), '-b', `127.0.0.1:${String(port)}`, 'installed:app'],
      {
        'lib/site-packages/installed/__init__.py': init,
        'lib/site-packages/installed/words.py': text('one'),
      },
      { PYTHONPATH: 'lib/site-packages' },
    )
    await served.settled()
    expect(await served.save('lib/site-packages/installed/words.py', text('two'))).toMatchObject({
      what: 'app',
    })
    expect((await http(port)).body).toBe('two')
  })

  test('an application that crashes as it is first loaded: the reason is served', async () => {
    await using served = await flask({ 'site_app.py': 'import os\nos.kill(os.getpid(), 11)\n' })
    const control = await served.control()
    expect((await control.hello).error?.message).toBe(
      'the new worker ended by SIGSEGV while it loaded the application',
    )
    expect((await http(served.port)).body).toContain('ended by SIGSEGV')
    expect(await served.save('site_app.py', site('one'))).toMatchObject({ type: 'reloaded', generation: 1 })
    expect((await http(served.port)).body).toBe('one')
  })

  test('several clients are told, and each has its own answers', async () => {
    await using served = await flask({ 'site_app.py': site('one') })
    const control = await served.settled()
    const other = Control.open(join(served.folder, '.control'))
    expect(await other.hello).toMatchObject({ state: 'serving' })
    const path = join(served.folder, 'site_app.py')
    const [mine, theirs] = await Promise.all([control.reload([path]), other.reload([path])])
    expect([mine.type, theirs.type]).toEqual(['reloaded', 'reloaded'])
    expect(await control.ask({ type: 'dance' })).toMatchObject({
      type: 'error',
      message: "unknown type: 'dance'",
    })
    other.close()
    expect(await control.reload([path])).toMatchObject({ type: 'reloaded' })
  })
})

describe('debuggers', () => {
  test('breakpoint() without a terminal says so and goes on', async () => {
    await using served = await flask({
      'site_app.py': site('one').replace('    return', '    breakpoint()\n    return'),
    })
    await served.settled()
    expect((await http(served.port)).body).toBe('one')
    expect(served.log()).toMatch(
      /breakpoint\(\) at .*site_app.py:7 was passed by: the container has no terminal/,
    )
  })

  test('pdb on a terminal: who holds it is said, and a save does not end it', async () => {
    await using served = await flask({
      'site_app.py': site('one').replace('    return', '    breakpoint()\n    return'),
    })
    await served.end('SIGKILL')
    const port = await freePort()
    const words = [
      '-B',
      join(RELOADER, 'run.py'),
      '--',
      join(venv, 'bin', 'flask'),
      '--app',
      'site_app',
      'run',
      '-p',
      String(port),
    ]
    const terminal = spawn('python3', words, {
      cwd: served.folder,
      env: { ...process.env, DEVSTACK_CONTROL_FOLDER: join(served.folder, '.pty') },
    })
    let screen = ''
    terminal.onData((data: string) => (screen += data))
    const control = Control.open(join(served.folder, '.pty'))
    try {
      await until(
        () => screen,
        (text) => text.includes('kept warm'),
      )
      const answer = http(port)
      await until(
        () => screen,
        (text) => text.includes('(Pdb)'),
      )
      const { debugger: held } = await control.ask({ type: 'status' })
      expect(held).toMatchObject({ by: 'pdb' })
      await served.write('site_app.py', site('two'))
      expect(await control.reload([join(served.folder, 'site_app.py')])).toMatchObject({ type: 'reloaded' })
      expect((await http(port)).body).toBe('two')
      terminal.write('p 6 * 7\r')
      await until(
        () => screen,
        (text) => text.includes('42'),
      )
      terminal.write('c\r')
      expect((await answer).body).toBe('one')
      await until(
        () => control.ask({ type: 'status' }),
        (status) => status.debugger === null,
      )
    } finally {
      control.close()
      terminal.kill('SIGKILL')
    }
  })

  test('debugpy, started by the application: one worker at a time holds its port', async () => {
    const port = await freePort()
    const listen = `import debugpy\ndebugpy.listen(("127.0.0.1", ${String(port)}))`
    await using served = await flask({ 'site_app.py': site('one', listen) })
    const control = await served.settled()
    expect(await served.save('site_app.py', site('two', listen))).toMatchObject({ type: 'reloaded' })
    expect((await http(served.port)).body).toBe('two')
    expect(await served.save('site_app.py', site('three', listen))).toMatchObject({ type: 'reloaded' })
    expect((await http(served.port)).body).toBe('three')
    expect((await control.ask({ type: 'status' })).workers).toHaveLength(1)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
  }, 60_000)

  test('Werkzeug’s debugger answers with --debug', async () => {
    const failing = site('one').replace('return "one"', 'return 1 / 0')
    await using served = await flask({ 'site_app.py': failing }, ['--debug'])
    await served.settled()
    const answer = await http(served.port)
    expect(answer.status).toBe(500)
    expect(answer.body).toContain('Werkzeug Debugger')
    await served.save('site_app.py', site('two'))
    expect((await http(served.port)).body).toBe('two')
  })
})

test('no file of the reloader is longer than 300 lines', async () => {
  for (const name of await readdir(join(RELOADER, 'devstack_reloader'))) {
    if (!name.endsWith('.py')) continue
    const text = await readFile(join(RELOADER, 'devstack_reloader', name), 'utf8')
    expect([name, text.split('\n').length <= 301]).toEqual([name, true])
  }
})
