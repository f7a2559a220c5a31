import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Dockerode from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createImageBuilder } from '../../../src/engines/images/build.js'
import { chooseImages } from '../../../src/engines/images/choose.js'
import { createImageEngine } from '../../../src/engines/images/engine.js'
import { findMavenSettings, readHostCa } from '../../../src/engines/images/host-settings.js'
import { findSuperseded, pruneSuperseded } from '../../../src/engines/images/prune.js'
import { loadRecipes } from '../../../src/engines/images/recipes.js'
import type { Recipe } from '../../../src/engines/images/recipes.js'
import { createRegistryProbe } from '../../../src/engines/images/registry.js'
import { createRunner } from '../../../src/engines/images/run.js'

const execute = promisify(execFile)
const RECIPES = new URL('../../../compose/images/', import.meta.url).pathname
const NAME = `devstack-images-test-${randomBytes(4).toString('hex')}`
const ENDPOINT = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'

const signal = new AbortController().signal
const engine = createImageEngine(() =>
  Promise.resolve(new Dockerode({ socketPath: ENDPOINT.replace('unix://', '') })),
)
const run = createRunner({ env: process.env, endpoint: ENDPOINT })

let folder: string
const containers: string[] = []
const images = new Set<string>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `${NAME}-`))
  await cp(RECIPES, folder, { recursive: true })
})

afterAll(async () => {
  for (const id of containers) await docker('rm', '--force', '--volumes', id).catch(() => '')
  for (const ref of images) await docker('rmi', ref).catch(() => '')
  await rm(folder, { recursive: true })
})

async function docker(...args: string[]): Promise<string> {
  const { stdout } = await execute('docker', args)
  return stdout.trim()
}

async function start(...args: string[]): Promise<string> {
  const id = await docker('run', '--detach', '--label', `${NAME}=yes`, ...args)
  containers.push(id)
  return id
}

async function eventually<T>(what: () => Promise<T>, ms = 120_000): Promise<T> {
  const until = Date.now() + ms
  for (;;) {
    try {
      return await what()
    } catch (error) {
      if (Date.now() > until) throw error
      await new Promise((resolve) => {
        setTimeout(resolve, 100)
      })
    }
  }
}

/** Recipes of a folder and how to build them. */
async function setUp(recipesFolder: string): Promise<{
  recipes: readonly Recipe[]
  build: (name: string, abort?: AbortSignal, output?: (line: string) => void) => Promise<void>
}> {
  const hostCa = await readHostCa(process.env)
  const recipes = await loadRecipes(recipesFolder, hostCa)
  const builder = createImageBuilder({
    recipes,
    engine,
    run,
    hostCa,
    mavenSettings: await findMavenSettings(process.env),
  })
  const build = (name: string, abort = signal, output: (line: string) => void = noOutput): Promise<void> =>
    builder.build(name, { signal: abort, progress: () => undefined, output })
  return { recipes, build }
}

function noOutput(): void {
  return undefined
}

/** The image of a real recipe, built where it is not there yet. */
async function imageOf(name: string): Promise<string> {
  const { recipes, build } = await setUp(RECIPES)
  const wanted = [{ ref: `devstack/${name}`, services: [] }]
  const [choice] = await chooseImages({ wanted, source: 'local', recipes, engine, signal })
  if (choice?.action === 'build') await build(name)
  return choice?.ref ?? ''
}

/** A recipe of our own: its images can be removed again without taking anybody's. */
async function ownRecipe(dockerfile: string): Promise<Recipe> {
  await writeFile(join(folder, 'redis/Dockerfile'), `ARG BASE\nFROM \${BASE}\n# ${NAME}\n${dockerfile}\n`)
  const recipe = (await setUp(folder)).recipes.find(({ name }) => name === 'redis')
  if (recipe === undefined) throw new Error('no recipe')
  images.add(recipe.ref)
  return recipe
}

describe('a build', () => {
  test('makes an image with its labels, which is then reused, superseded and removed', async () => {
    const recipe = await ownRecipe('RUN echo one')
    const { recipes, build } = await setUp(folder)
    const wanted = [{ ref: 'redis:8.0', services: ['cache'] }]
    const choose = async (): Promise<string | undefined> =>
      (await chooseImages({ wanted, source: 'local', recipes, engine, signal }))[0]?.action
    expect(await choose()).toBe('build')
    await build('redis')
    expect(await choose()).toBe('reuse')
    const labels: unknown = JSON.parse(
      await docker('inspect', '--format', '{{json .Config.Labels}}', recipe.ref),
    )
    expect(labels).toMatchObject({
      'dev.devstack.image': 'redis',
      'dev.devstack.recipe': recipe.hash,
      'dev.devstack.family': 'debian-trixie',
      'dev.devstack.major': '8',
    })

    await ownRecipe('RUN echo two')
    const after = await setUp(folder)
    const superseded = (await findSuperseded(engine, after.recipes, signal)).filter(
      ({ ref }) => ref === recipe.ref,
    )
    expect(superseded).toHaveLength(1)
    expect(await pruneSuperseded(engine, superseded, signal)).toEqual(superseded)
    await expect(docker('inspect', recipe.ref)).rejects.toThrow('No such object')
  })

  test('that fails names the step and its last lines, and leaves no image', async () => {
    const recipe = await ownRecipe('RUN echo before\nRUN echo "the reason" && exit 3')
    await expect((await setUp(folder)).build('redis')).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: 'the image redis could not be built at: RUN echo "the reason" && exit 3',
      why: expect.stringMatching(/the reason\n.*exit code: 3/s) as string,
    })
    await expect(docker('inspect', recipe.ref)).rejects.toThrow('No such object')
  })

  test('that is cancelled leaves no program behind', async () => {
    const recipe = await ownRecipe(`RUN echo started ${NAME} && sleep 600`)
    const abort = new AbortController()
    const { build } = await setUp(folder)
    const done = build('redis', abort.signal, (line) => {
      if (line.startsWith('started')) abort.abort(new Error('enough'))
    })
    await expect(done).rejects.toThrow('enough')
    expect(await commandLines()).not.toContainEqual(expect.stringContaining(recipe.ref))
  })
})

async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
}

test('a registry that is not there does not answer, in the words of the engine', async () => {
  const answer = await createRegistryProbe(engine)('registry.invalid/x:1', signal)
  expect(answer).toMatchObject({ host: 'registry.invalid', answers: false })
  expect(answer.why).toMatch(/lookup|no such host|no answer/)
})

describe('postgres', () => {
  const ready = 'SELECT current_user, current_database(), (SELECT count(*) FROM pg_database)'

  async function ask(id: string, user: string, password: string): Promise<string> {
    const address = await docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', id)
    const url = `postgresql://${user}:${encodeURIComponent(password)}@${address}/`
    return await docker('exec', id, 'psql', '-XAtc', ready, `${url}${user}`)
  }

  test('a first start without initdb: the user, the database and the password are those asked for', async () => {
    const id = await start(
      '-e',
      'POSTGRES_USER=sh"op',
      '-e',
      "POSTGRES_PASSWORD=p'a\\ss",
      await imageOf('postgres'),
    )
    const user = 'sh%22op'
    expect(await eventually(() => ask(id, user, "p'a\\ss"))).toBe('sh"op|sh"op|4')
    await expect(ask(id, user, 'wrong')).rejects.toThrow('password authentication failed')
    expect(await docker('logs', id)).not.toContain('initdb')
    await docker('stop', id)
    expect(await docker('inspect', '--format', '{{.State.ExitCode}}', id)).toBe('0')
  })

  test('settings that the template does not have go through initdb; the init scripts run', async () => {
    await writeFile(join(folder, 'init.sql'), 'CREATE DATABASE more;')
    await writeFile(join(folder, 'init.sh'), 'docker_process_sql <<<"CREATE ROLE other"\n')
    const id = await start(
      '-e',
      'POSTGRES_PASSWORD=x',
      '-e',
      'POSTGRES_INITDB_ARGS=--data-checksums',
      '-v',
      `${folder}/init.sql:/docker-entrypoint-initdb.d/1.sql:ro`,
      '-v',
      `${folder}/init.sh:/docker-entrypoint-initdb.d/2.sh:ro`,
      await imageOf('postgres'),
    )
    expect(await eventually(() => ask(id, 'postgres', 'x'))).toBe('postgres|postgres|4')
    expect(await docker('exec', id, 'psql', '-U', 'postgres', '-XAtc', 'SHOW data_checksums')).toBe('on')
    expect(
      await docker(
        'exec',
        id,
        'psql',
        '-U',
        'postgres',
        '-XAtc',
        "SELECT 1 FROM pg_roles WHERE rolname='other'",
      ),
    ).toBe('1')
  })

  test('without a password it does not start, and says what to set', async () => {
    const id = await start(await imageOf('postgres'))
    expect(await docker('wait', id)).toBe('1')
    const { stderr } = await execute('docker', ['logs', id])
    expect(stderr).toContain('set POSTGRES_PASSWORD')
  })
})

test('redis answers from outside its container, as user redis', async () => {
  const id = await start('-p', '127.0.0.1::6379', await imageOf('redis'))
  const address = await docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', id)
  expect(await eventually(() => docker('exec', id, 'redis-cli', '-h', address, 'ping'))).toBe('PONG')
  expect(await docker('exec', id, 'stat', '-c', '%u', '/proc/1')).toBe('999')
})

test('nginx fills templates in, serves, and runs as somebody who is not root', async () => {
  const template = join(folder, 'site.conf.template')
  await writeFile(template, 'server { listen 8080; location / { return 200 "${GREETING} $uri"; } }')
  await appendFile(
    join(folder, 'main.conf'),
    'pid /tmp/nginx.pid;\nevents {}\nhttp { include /tmp/conf/*.conf; }\n',
  )
  const id = await start(
    '--user',
    '101:101',
    '-e',
    'GREETING=hello',
    '-e',
    'NGINX_ENVSUBST_OUTPUT_DIR=/tmp/conf',
    '--tmpfs',
    '/tmp/conf:uid=101,gid=101',
    '-v',
    `${template}:/etc/nginx/templates/site.conf.template:ro`,
    '-v',
    `${folder}/main.conf:/etc/nginx/nginx.conf:ro`,
    await imageOf('nginx'),
  )
  expect(await eventually(() => docker('exec', id, 'curl', '-fsS', 'localhost:8080/x'), 20_000)).toBe(
    'hello /x',
  )
  await docker('stop', id)
  expect(await docker('inspect', '--format', '{{.State.ExitCode}}', id)).toBe('0')
})

test('python and node have the interface of the upstream images', async () => {
  const [python, node] = [await imageOf('python'), await imageOf('node')]
  const script = 'import sys, ssl, venv; print("%d.%d" % sys.version_info[:2])'
  expect(await docker('run', '--rm', python, 'python', '-c', script)).toBe('3.13')
  expect(await docker('run', '--rm', python, 'pip', '--version')).toContain('python 3.13')
  expect(await docker('run', '--rm', node, '-p', 'process.versions.node.split(".")[0]')).toBe('24')
  expect(
    await docker('run', '--rm', '--user', 'node', node, 'sh', '-c', 'id -u; npm --version; npx --version'),
  ).toMatch(/^1000\n11\.\d+\.\d+\n11\./)
})

test('elasticsearch says who it is, and finds what it was given', async () => {
  const id = await start(
    '-e',
    'discovery.type=single-node',
    '-e',
    'xpack.security.enabled=false',
    '-e',
    'cluster.name=mine',
    await imageOf('elasticsearch'),
  )
  const curl = (...args: string[]): Promise<string> => docker('exec', id, 'curl', '-fsS', ...args)
  const page = JSON.parse(await eventually(() => curl('localhost:9200/'))) as Record<string, unknown>
  expect(page).toMatchObject({ cluster_name: 'mine', tagline: 'You Know, for Search' })
  expect(page['version']).toMatchObject({ number: '8.19.21' })
  const json = ['-H', 'content-type: application/json']
  await curl('-XPUT', 'localhost:9200/p/_doc/1?refresh=true', ...json, '-d', '{"name":"Grüner Tee"}')
  expect(await curl('localhost:9200/p/_search?q=name:tee&filter_path=hits.total.value')).toBe(
    '{"hits":{"total":{"value":1}}}',
  )
  expect(await docker('exec', id, 'id', '-u')).toBe('1000')
})
