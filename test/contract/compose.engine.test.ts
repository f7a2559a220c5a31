import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, test } from 'vitest'
import { createComposeEngine } from '../../src/engines/compose/engine.js'
import { engineIsThere, ENDPOINT } from './compose-there.js'
import { describeEngine } from './describe-engine.js'
import type { EngineWorld } from './describe-engine.js'

const run = promisify(execFile)
const recipesFolder = join(import.meta.dirname, '../../compose/images')
const env = { ...process.env, DOCKER_HOST: ENDPOINT }

// Every image is made here, from the project's own base: the suite needs no registry.
const composeFile = `
services:
  store:
    image: devstack/base:local
    init: true
    command: [sh, -c, 'sleep infinity']
    healthcheck: { test: [CMD, 'true'], interval: 1s, start_interval: 100ms, start_period: 5s }
    volumes: ['data:/data']
  once:
    image: devstack/base:local
    command: ['true']
    depends_on: { store: { condition: service_healthy } }
  app:
    build: { context: ./app }
    init: true
    depends_on:
      store: { condition: service_healthy }
      once: { condition: service_completed_successfully }
    develop:
      watch: [{ action: sync, path: ./app, target: /app }]
  slow:
    build: { context: ./slow }
    command: ['true']
volumes:
  data: {}
`

const appFiles = {
  Dockerfile: [
    'FROM devstack/base:local',
    'COPY . /app',
    'RUN useradd --uid 1500 worker && chown -R worker /app',
    'USER worker',
    // Ends with the code that is written to /tmp/end.
    'CMD ["sh", "-c", "rm -f /tmp/end; while [ ! -e /tmp/end ]; do sleep 0.05; done; echo last words; exit $(cat /tmp/end)"]',
    '',
  ].join('\n'),
  'main.txt': 'first',
}

const slowDockerfile = `FROM devstack/base:local
ARG UNIQUE
RUN echo $UNIQUE && exec -a dstest-slow-build sleep 60
`

async function makeWorld(): Promise<EngineWorld> {
  const name = `dstest-contract-${randomBytes(4).toString('hex')}`
  const root = await mkdtemp(join(tmpdir(), 'devstack-compose-'))
  const folder = join(root, 'project')
  const stateFolder = join(root, 'state')
  for (const sub of ['app', 'slow']) await mkdir(join(folder, sub), { recursive: true })
  await writeFile(join(folder, 'compose.yaml'), composeFile)
  for (const [file, text] of Object.entries(appFiles)) await writeFile(join(folder, 'app', file), text)
  // The name keeps the step out of the build cache; bash alone can give a process another name.
  const slow = slowDockerfile.replace('$UNIQUE', name).replace('RUN ', 'SHELL ["bash", "-c"]\nRUN ')
  await writeFile(join(folder, 'slow', 'Dockerfile'), slow)
  const open = () =>
    createComposeEngine({
      folder,
      files: [join(folder, 'compose.yaml')],
      projectName: name,
      primary: true,
      stateFolder,
      endpoint: ENDPOINT,
      env,
      images: { source: 'local', recipesFolder },
      portOwner: () => Promise.resolve(null),
      version: '0.0.0-test',
    })
  const docker = async (...args: readonly string[]): Promise<string> =>
    (await run('docker', [...args], { env })).stdout.trim()
  const lines = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await docker(...args)).split('\n').filter((line) => line !== '')
  const label = `label=com.docker.compose.project=${name}`
  const containerOf = async (service: string): Promise<string> => {
    const [id = ''] = await lines(
      'ps',
      '--quiet',
      '--filter',
      label,
      '--filter',
      `label=com.docker.compose.service=${service}`,
    )
    return id
  }
  const things = async (): Promise<readonly string[]> => [
    ...(await lines('ps', '--all', '--filter', label, '--format', '{{.Names}}')),
    ...(await lines('network', 'ls', '--filter', label, '--format', '{{.Name}}')),
    ...(await lines('volume', 'ls', '--filter', label, '--format', '{{.Name}}')),
  ]
  return {
    engine: open(),
    reopen: open,
    things,
    readFile: async (service, path) => {
      const id = await containerOf(service)
      return await docker('exec', id, 'cat', path).catch(() => null)
    },
    crash: async (service, exitCode) => {
      await docker('exec', await containerOf(service), 'sh', '-c', `echo ${String(exitCode)} > /tmp/end`)
    },
    building: async () => {
      const { stdout } = await run('ps', ['-eo', 'args'])
      return stdout
        .split('\n')
        .filter((line) => line.startsWith('dstest-slow-build') || line.includes(`${name} build`))
    },
    dispose: async () => {
      await docker('compose', '--project-name', name, 'down', '--volumes', '--remove-orphans').catch(() => '')
      const images = await lines('images', '--quiet', '--filter', 'reference=' + `${name}-*`)
      if (images.length > 0) await docker('rmi', '--force', ...new Set(images))
      await rm(root, { recursive: true, force: true })
    },
  }
}

if (await engineIsThere()) {
  describeEngine('Compose', makeWorld)
} else {
  describe('Compose as an engine', () => {
    test.skip('no Docker engine answers (DEVSTACK_ENGINES=compose makes this a failure)', () => undefined)
  })
}
