import { access, cp, mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import type { Answer } from './reloader-rig.js'
import { environment, freePort, http, Served, until } from './reloader-rig.js'

/** A real application, as PyPI carries it. */
interface Application {
  readonly name: string
  readonly uses: string
  readonly packages: readonly string[]
  /** The oldest Python it is made for, where that is newer than the machine's. */
  readonly python?: readonly string[]
  /** The installed package that is copied as the developer's sources. */
  readonly source: string
  readonly app: string
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  /** Python that makes its database, where its pages need one. */
  readonly prepare?: string
  readonly page: string
  /** One of its own modules, and the decorator that reaches all answers from there. */
  readonly edit: readonly [file: string, decorator: string]
  /** How many of its own modules it has at least. */
  readonly modules: number
}

const APPLICATIONS: readonly Application[] = [
  {
    name: 'httpbin 0.10.4',
    uses: 'one application object',
    packages: ['httpbin==0.10.4'],
    source: 'httpbin',
    app: 'httpbin:app',
    page: '/get',
    edit: ['core.py', '@app.after_request'],
    modules: 4,
  },
  {
    name: 'ihatemoney 7.2.1',
    uses: 'a factory, blueprints, SQLAlchemy, Flask-Migrate',
    packages: ['ihatemoney==7.2.1'],
    source: 'ihatemoney',
    app: 'ihatemoney.run:create_app()',
    env: { IHATEMONEY_SETTINGS_FILE_PATH: '{folder}/settings.cfg' },
    files: {
      'settings.cfg': 'SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/money.db"\nSECRET_KEY = "test"\n',
    },
    page: '/',
    edit: ['web.py', '@main.after_app_request'],
    modules: 20,
  },
  {
    name: 'supysonic 0.7.9',
    uses: 'a factory, blueprints, Peewee',
    packages: ['supysonic==0.7.9'],
    source: 'supysonic',
    app: 'supysonic.web:create_application()',
    files: { 'supysonic.conf': '[base]\ndatabase_uri = sqlite:///{folder}/music.db\n[webapp]\nlog_file =\n' },
    page: '/user/login',
    edit: ['frontend/__init__.py', '@frontend.after_app_request'],
    modules: 30,
  },
  {
    name: 'privacyIDEA 3.14',
    uses: 'a factory, 30 blueprints, SQLAlchemy, Flask-Migrate, the task queue huey',
    packages: ['privacyidea==3.14'],
    source: 'privacyidea',
    app: 'privacyidea.app:create_app("production", silent=True)',
    env: { PRIVACYIDEA_CONFIGFILE: '{folder}/pi.cfg' },
    files: {
      'pi.cfg': `SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/pi.db"\nSECRET_KEY = "${'x'.repeat(40)}"\nPI_PEPPER = "p"\n`,
    },
    prepare: `
from privacyidea.app import create_app
from privacyidea.models import db
with create_app("production", silent=True).app_context():
    db.create_all()
`,
    page: '/healthz/livez',
    edit: ['api/healthcheck.py', '@healthz_blueprint.after_app_request'],
    modules: 200,
  },
  {
    name: 'FlaskBB 3.0.0rc5',
    uses: 'a factory, blueprints, SQLAlchemy, Alembic, Flask-Login, the task queue Celery, plugins',
    packages: ['flaskbb==3.0.0rc5'],
    python: ['python3.13', 'python3.12'],
    source: 'flaskbb',
    app: 'flaskbb:create_app()',
    env: { FLASKBB_SQLALCHEMY_DATABASE_URI: 'sqlite:///{folder}/forum.db' },
    files: { 'src/logs/.keep': '' },
    prepare: `
from flaskbb import create_app
from flaskbb.extensions import alembic
from flaskbb.utils.populate import create_default_groups, create_default_settings
with create_app().app_context():
    alembic.upgrade()
    create_default_groups()
    create_default_settings()
`,
    page: '/',
    edit: ['extensions.py', ''],
    modules: 80,
  },
]

describe('real applications from PyPI, unmodified', () => {
  test.for(APPLICATIONS)('$name: $uses', async (application, { skip }) => {
    const python = await pythonFor(application)
    if (python === null) return skip(`${application.name} wants one of ${String(application.python)}`)
    const venv = await environment(application.packages, python)
    await using served = await started(application, venv)
    const control = await served.control()
    expect(await control.hello).toMatchObject({ state: 'serving', error: null })
    const port = Number(served.place)
    const ask = (): Promise<Answer> => http(port, application.page)
    expect((await ask()).status, served.log()).toBe(200)
    await until(
      async () => (await control.ask({ type: 'status' })).warm ?? 0,
      (warm) => warm > 100,
    )

    const [file] = application.edit
    const module = join('src', application.source, file)
    const original = await readFile(join(served.folder, module), 'utf8')
    const marked = (mark: string): string => `${original}\n${edit(application, mark)}`
    const times: number[] = []
    for (const mark of ['a', 'b', 'c', 'd', 'e']) {
      const said = await served.save(module, marked(mark))
      expect(said).toMatchObject({ type: 'reloaded', what: 'app' })
      times.push(said.ms?.total ?? Number.NaN)
      const answer = await ask()
      expect([answer.status, answer.headers['x-mark']], served.log().slice(-4000)).toEqual([200, mark])
    }

    const broken = await served.save(module, `${marked('f')}\nno_such_name\n`)
    expect(broken).toMatchObject({
      type: 'failed',
      serving: true,
      error: { file: join(served.folder, module) },
    })
    expect((await ask()).headers['x-mark']).toBe('e')

    expect(await served.save(module, marked('g'))).toMatchObject({ type: 'reloaded' })
    expect((await ask()).headers['x-mark']).toBe('g')
    const median = [...times].sort((one, other) => one - other)[2]
    process.stderr.write(
      `${application.name}: reload ${String(median)} ms (median of ${String(times.length)})\n`,
    )
  })

  test('at least three have more than 20 modules, a factory and blueprints', async () => {
    expect(
      APPLICATIONS.filter((one) => one.modules >= 20 && one.uses.includes('factory')).length,
    ).toBeGreaterThan(2)
    for (const application of APPLICATIONS) {
      const python = await pythonFor(application)
      if (python === null) continue
      const venv = await environment(application.packages, python)
      const names = await readdir(join(await packagesOf(venv), application.source), { recursive: true })
      expect(names.filter((name) => name.endsWith('.py')).length).toBeGreaterThanOrEqual(application.modules)
    }
  })
})

/** Puts a header on each answer. FlaskBB makes its blueprints in functions, so there all applications are reached. */
function edit({ edit: [, decorator] }: Application, mark: string): string {
  const body = `    response.headers["X-Mark"] = "${mark}"\n    return response\n`
  if (decorator !== '') return `${decorator}\ndef _mark(response):\n${body}`
  return `from flask import request_finished, request_started, after_this_request
def _mark(response):
${body}
def _started(sender, **_):
    after_this_request(_mark)
request_started.connect(_started)
`
}

async function started(application: Application, venv: string): Promise<Served & { readonly place: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-app-'))
  const filled = (text: string): string => text.replaceAll('{folder}', folder)
  const source = join(folder, 'src', application.source)
  await mkdir(join(folder, 'src'))
  await cp(join(await packagesOf(venv), application.source), source, {
    recursive: true,
    filter: (path) => !path.endsWith('__pycache__'),
  })
  const files = Object.fromEntries(
    Object.entries(application.files ?? {}).map(([name, text]) => [name, filled(text)]),
  )
  const given = Object.entries(application.env ?? {}).map(([name, text]) => [name, filled(text)])
  const env = { ...Object.fromEntries(given), PYTHONPATH: join(folder, 'src'), PYTHONDONTWRITEBYTECODE: '1' }
  const port = String(await freePort())
  const words = [join(venv, 'bin', 'flask'), '--app', application.app, 'run', '-p', port]
  if (application.prepare !== undefined) {
    await Served.write(folder, files)
    await execa(join(venv, 'bin', 'python'), ['-c', application.prepare], { cwd: folder, env })
  }
  return Object.assign(await Served.start(words, files, env, folder), { place: port })
}

async function packagesOf(venv: string): Promise<string> {
  const version = (await readdir(join(venv, 'lib'))).find((name) => name.startsWith('python')) ?? ''
  return join(venv, 'lib', version, 'site-packages')
}

async function pythonFor({ python }: Application): Promise<string | null> {
  if (python === undefined) return 'python3'
  const versions = join(homedir(), '.pyenv', 'versions')
  const installed = await readdir(versions).catch(() => [])
  for (const name of python) {
    const mine = installed.find((version) => version.startsWith(`${name.slice('python'.length)}.`))
    const path = mine === undefined ? name : join(versions, mine, 'bin', 'python3')
    const works = await execa(path, ['--version'], { reject: false })
    if (works.exitCode === 0 && (mine === undefined || (await exists(path)))) return path
  }
  return null
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
