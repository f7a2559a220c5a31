import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { describe, test } from 'vitest'
import { appDockerfile } from './app-image.js'
import { makeComposeProject } from './compose-project.js'
import { engineIsThere } from './compose-there.js'
import { describeEngine } from './describe-engine.js'
import type { EngineWorld } from './describe-engine.js'

const run = promisify(execFile)

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

async function makeWorld(): Promise<EngineWorld> {
  // A text of its own keeps the step out of the build cache; bash alone can give a process another name.
  const unique = `dstest-build-${randomBytes(4).toString('hex')}`
  const project = await makeComposeProject({
    'compose.yaml': composeFile,
    'app/Dockerfile': appDockerfile,
    'app/main.txt': 'first',
    'slow/Dockerfile': `FROM devstack/base:local\nSHELL ["bash", "-c"]\nRUN exec -a ${unique} sleep 60\n`,
  })
  const { docker, containerOf } = project
  return {
    engine: project.engine,
    keepsStopped: true,
    reopen: () => project.open(),
    things: project.things,
    readFile: async (service, path) =>
      await docker('exec', await containerOf(service), 'cat', path).catch(() => null),
    crash: async (service, exitCode) => {
      await docker('exec', await containerOf(service), 'sh', '-c', `echo ${String(exitCode)} > /tmp/end`)
    },
    building: async () => {
      const { stdout } = await run('ps', ['-eo', 'args'])
      return stdout.split('\n').filter((line) => line.startsWith(unique))
    },
    dispose: project.dispose,
  }
}

if (await engineIsThere()) {
  describeEngine('Compose', makeWorld)
} else {
  describe('Compose as an engine', () => {
    test.skip('no Docker engine answers (DEVSTACK_ENGINES=compose makes this a failure)', () => undefined)
  })
}
