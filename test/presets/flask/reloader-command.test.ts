import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RELOADER } from './reloader-rig.js'

interface Parsed {
  readonly refused?: string
  readonly [field: string]: unknown
}

const PROGRAM = `
import json, sys
sys.path.insert(0, sys.argv[1])
from devstack_reloader import command
from devstack_reloader.target import Refusal
for line in sys.stdin:
    given = json.loads(line)
    try:
        target = json.loads(command.parse(given["words"], given["env"], given["cwd"]).to_json())
        target["addresses"] = [f"{one['protocol']} " + (one["path"] or f"{one['host']}:{one['port']}") + (f" {one['mode']:o}" if one["mode"] else "") for one in target["addresses"]]
        print(json.dumps(target), flush=True)
    except Refusal as refusal:
        print(json.dumps({"refused": str(refusal)}), flush=True)
`

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-command-'))
  const { stdout: python } = await execa('python3', ['-c', 'import sys; print(sys.executable)'])
  const files: Record<string, string> = {
    'venv/bin/python3': `#!/bin/sh\nexec ${python} "$@"\n`,
    'venv/bin/python': `#!/bin/sh\nexec ${python} "$@"\n`,
    'venv/bin/flask': `#!${folder}/venv/bin/python\n`,
    'venv/bin/gunicorn': `#!/bin/sh\n'''exec' "${folder}/venv/bin/python" "$0" "$@"\n' '''\n`,
    'venv/bin/waitress-serve': `#!${folder}/venv/bin/python3.11\n`,
    'venv/bin/uwsgi': 'ELF',
    'venv/bin/celery': `#!${folder}/venv/bin/python\n`,
    'venv/lib/python3.11/site-packages/dotenv/__init__.py': '',
    'app.py': '',
    'package/__main__.py': '',
    'base.ini':
      '[uwsgi]\nchdir = %d\npythonpath = lib\nsocket = /run/x.sock\nchmod-socket = 660\nbuffer-size = 32768\n',
    'dev.ini':
      '# a comment\n[uwsgi]\nini = base.ini\nname = wsgi\nmodule = %(name):application\nprocesses = 2\nthreads = 3\n; another\nenv = MODE=dev\nvirtualenv = %dvenv\n\n[other]\nmodule = nothing\nmule = 1\n',
    'env.ini': '[uwsgi]\nhome = venv\nmodule = wsgi\nhttp-socket = $(HOST):8000\n',
    'two.ini': '[uwsgi]\nhome = venv\nmount = /a=a:app\nmount = /b=b:app\nsocket = :3031\n',
    'logic.ini': '[uwsgi]\nif-env = X\nmodule = y\nendif =\n',
    'section.ini': '[uwsgi]\nmodule = no\n[dev]\nhome = venv\nmodule = yes\nsocket = 127.0.0.1:3031\n',
    'gunicorn.conf.py': '',
    'workers.conf.py':
      'import multiprocessing\nbind = ["127.0.0.1:9001"]\nworkers = 1 + 2\nmine = object()\n',
    'hooks.conf.py': 'def post_fork(server, worker):\n    pass\n',
    'dotenv/.flaskenv': 'FLASK_APP=site:make\nexport FLASK_RUN_PORT="5055" # the port\n',
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
    if (name.includes('/bin/')) await chmod(join(folder, name), 0o755)
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** `{folder}` stands for the test's folder, which is also the working folder. */
async function parse(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = '',
): Promise<Parsed> {
  const given = {
    words: words.map((word) => word.replaceAll('{folder}', folder)),
    env: { PATH: `${folder}/venv/bin:/usr/bin:/bin`, ...env },
    cwd: join(folder, cwd),
  }
  const { stdout } = await execa('python3', ['-B', '-c', PROGRAM, RELOADER], {
    input: `${JSON.stringify(given)}\n`,
  })
  return JSON.parse(stdout.replaceAll(folder, '{folder}')) as Parsed
}

describe('uwsgi', () => {
  test('an ini file that includes another, with placeholders', async () => {
    expect(await parse(['uwsgi', '--ini', 'dev.ini'])).toMatchObject({
      kind: 'module',
      app: 'wsgi',
      callable: 'application',
      python: '{folder}/venv/bin/python3',
      chdir: '{folder}',
      path: ['{folder}/lib', '{folder}'],
      processes: 2,
      threads: 3,
      buffer_size: 32768,
      addresses: ['uwsgi /run/x.sock 660'],
      env: { MODE: 'dev' },
      config_files: ['{folder}/dev.ini', '{folder}/base.ini'],
    })
  })

  test.each([
    [['uwsgi', 'section.ini:dev'], { app: 'yes', addresses: ['uwsgi 127.0.0.1:3031'] }],
    [['uwsgi', '--ini', 'env.ini'], { app: 'wsgi', addresses: ['http 127.0.0.9:8000'] }],
    [
      [
        'uwsgi',
        '--http',
        ':8080',
        '--wsgi-file',
        'app.py',
        '--callable',
        'app',
        '-p',
        '4',
        '--master',
        '-H',
        'venv',
      ],
      {
        kind: 'file',
        app: '{folder}/app.py',
        callable: 'app',
        processes: 4,
        addresses: ['http 0.0.0.0:8080'],
      },
    ],
    [
      ['uwsgi', '--socket=/tmp/a.sock', '--chmod-socket', '-w', 'app:create()', '--enable-threads'],
      { app: 'app', callable: 'create()', addresses: ['uwsgi /tmp/a.sock 666'] },
    ],
    [
      ['uwsgi', '-s', ':3031', '--protocol=http', '--mount', '/=app:app'],
      { app: 'app', addresses: ['http 0.0.0.0:3031'] },
    ],
    [['uwsgi', '-s', ':1', '-w', 'app', '--stats', ':9191'], { notes: ['stats has no effect'] }],
  ])('%j', async (words, target) => {
    expect(await parse(words, { HOST: '127.0.0.9' })).toMatchObject(target)
  })

  test.each([
    [['uwsgi', 'two.ini'], /mount: several applications/],
    [['uwsgi', 'logic.ini'], /logic.ini:2: if-env/],
    [['uwsgi', 'absent.ini'], /absent.ini: No such file/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--gevent', '100'], /uwsgi's gevent/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--emperor', '/etc'], /uwsgi's emperor/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--cron', '1 1 1 1 1 x'], /uwsgi's cron/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--spooler', 'x'], /uwsgi's spooler/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--http-websockets'], /uwsgi's http-websockets/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--static-map', '/s=/x'], /uwsgi's static-map/],
    [['uwsgi', '-s', ':1', '-w', 'a', '--plugins', 'lua'], /uwsgi's plugin lua/],
    [['uwsgi', '-w', 'a'], /uwsgi without a socket/],
    [['uwsgi', '-s', ':1'], /neither module nor wsgi-file/],
  ])('%j is refused by name', async (words, reason) => {
    expect((await parse(words)).refused).toMatch(reason)
  })
})

describe('flask, gunicorn, waitress and scripts', () => {
  test.each([
    [
      ['flask', 'run'],
      {},
      { kind: 'flask', app: '', addresses: ['http 127.0.0.1:5000'], threads: 0, debugger: false },
    ],
    [
      ['flask', '--app', 'site:make', '--debug', 'run', '--host=0.0.0.0', '-p', '80'],
      {},
      {
        app: 'site:make',
        addresses: ['http 0.0.0.0:80'],
        debugger: true,
        env: { FLASK_DEBUG: '1', WERKZEUG_RUN_MAIN: 'true' },
      },
    ],
    [
      ['python', '-X', 'dev', '-m', 'flask', 'run', '--without-threads'],
      { FLASK_APP: 'x', FLASK_RUN_PORT: '81', FLASK_DEBUG: '1' },
      {
        app: 'x',
        python_flags: ['-X', 'dev'],
        addresses: ['http 127.0.0.1:81'],
        threads: 1,
        debugger: true,
        path: ['{folder}'],
      },
    ],
    [['flask', 'run', '--no-debugger'], { FLASK_DEBUG: '1' }, { debugger: false }],
    [
      [
        'gunicorn',
        '-w',
        '3',
        '--threads=2',
        '-b',
        ':8001',
        '-b',
        'unix:/run/g.sock',
        'app:make("x")',
        '--preload',
      ],
      {},
      {
        server: 'gunicorn',
        app: 'app',
        callable: 'make("x")',
        processes: 3,
        threads: 2,
        addresses: ['http 0.0.0.0:8001', 'http /run/g.sock'],
      },
    ],
    [
      ['gunicorn', 'app:app'],
      { GUNICORN_CMD_ARGS: '--bind 127.0.0.1:9 --chdir lib' },
      { addresses: ['http 127.0.0.1:9'], chdir: '{folder}/lib' },
    ],
    [
      ['gunicorn', '-c', 'workers.conf.py', 'app'],
      {},
      { callable: 'application', processes: 3, addresses: ['http 127.0.0.1:9001'] },
    ],
    [
      ['waitress-serve', '--port=8042', '--call', 'app:make'],
      {},
      { callable: 'make()', threads: 4, addresses: ['http 0.0.0.0:8042'] },
    ],
    [
      ['python', '-u', 'app.py', 'serve'],
      {},
      { kind: 'script', app: '{folder}/app.py', argv: ['app.py', 'serve'], python_flags: ['-u'] },
    ],
    [
      ['python3', '-m', 'package'],
      {},
      { kind: 'script', app: '{folder}/package/__main__.py', path: ['{folder}'] },
    ],
    [['sh', '-c', 'exec flask run -p ${PORT:-5001}'], {}, { addresses: ['http 127.0.0.1:5001'] }],
    [['/bin/bash', '-lc', 'FLASK_APP=z flask run'], {}, { app: 'z' }],
    [['tini', '--', 'env', 'FLASK_APP=q', '{folder}/venv/bin/flask', 'run'], {}, { app: 'q' }],
    [['poetry', 'run', 'flask', 'run'], { VIRTUAL_ENV: '{folder}/venv' }, { kind: 'flask' }],
  ])('%j %j', async (words, env, target) => {
    const given = Object.entries<string>(env).map(([name, value]) => [
      name,
      value.replaceAll('{folder}', folder),
    ])
    expect(await parse(words, Object.fromEntries(given))).toMatchObject(target)
  })

  test('.flaskenv counts where python-dotenv is installed', async () => {
    expect(await parse(['flask', 'run'], {}, 'dotenv')).toMatchObject({
      app: 'site:make',
      addresses: ['http 127.0.0.1:5055'],
    })
  })

  test.each([
    [['celery', 'worker'], /celery is no server/],
    [['absent', 'run'], /absent is not there/],
    [['flask', 'db', 'upgrade'], /flask db/],
    [['python', '-c', 'pass'], /python -c/],
    [['python', 'absent.py'], /absent.py is no file/],
    [['python', '-m', 'http.server'], /python -m http.server/],
    [['sh', '-c', 'flask db upgrade && flask run'], /a shell script with more than one command/],
    [['gunicorn', '-k', 'gevent', 'app:app'], /gunicorn's gevent workers/],
    [['gunicorn', '--certfile=x', 'app:app'], /gunicorn's certfile/],
    [['gunicorn', '-c', 'hooks.conf.py', 'app:app'], /hooks.conf.py defines post_fork/],
    [['uv', 'run', '--extra', 'x', 'flask', 'run'], /uv run with options/],
  ])('%j is refused by name', async (words, reason) => {
    expect((await parse(words)).refused).toMatch(reason)
  })
})
