import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createDocker } from '../../../src/engines/compose/docker.js'
import { runHelper } from '../../../src/engines/compose/run-beside.js'
import { startFakeDocker } from './fake-docker.js'
import type { FakeDocker } from './fake-docker.js'

let docker: FakeDocker
beforeEach(async () => {
  docker = await startFakeDocker()
})
afterEach(async () => {
  await docker.dispose()
})

const run = (...argv: readonly string[]) =>
  runHelper(
    createDocker(docker.endpoint),
    { id: 'c1', service: 'api' },
    argv,
    ['KILL'],
    AbortSignal.timeout(5000),
  )

test('where no image has the programs, that is what is told', async () => {
  docker.answers['/images/json'] = [{ Id: 'sha256:a', Created: 1, RepoTags: ['nginx:1.27'] }]
  await expect(run('sh', '-c', 'true')).rejects.toMatchObject({
    message: 'no image can lend a program to api',
    why: 'sh cannot be run in it, and no image of devstack is there that has it',
    hint: 'a rebuild brings it level: devstack up --build api',
  })
})

test('the container may do no more than it must, and goes though nobody is left to remove it', async () => {
  let wanted: unknown = null
  docker.answers['/images/json'] = [{ Id: 'sha256:a', Created: 1, RepoTags: ['devstack/base:local'] }]
  docker.answers['/containers/create'] = async (response: ServerResponse & { req: IncomingMessage }) => {
    wanted = await json(response.req)
    response.writeHead(500).end('{"message":"not today"}')
  }
  await expect(run('sh', '-c', 'true')).rejects.toThrow('not today')
  expect(wanted).toMatchObject({
    Image: 'sha256:a',
    Entrypoint: ['sh'],
    Cmd: ['-c', 'true'],
    HostConfig: {
      AutoRemove: true,
      PidMode: 'container:c1',
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      CapAdd: ['KILL'],
    },
  })
})
