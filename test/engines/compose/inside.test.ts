import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { Docker } from '../../../src/engines/compose/docker.js'
import { openInside } from '../../../src/engines/compose/inside.js'
import type { Instance } from '../../../src/core/project.js'

/** An engine that starts any process; `asked` is called when it is asked how the process stands. */
function fakeDocker(pipe: PassThrough, asked: () => void): Docker {
  const exec = {
    start: () => Promise.resolve(pipe),
    inspect: () => {
      asked()
      return Promise.resolve({ Running: true, Pid: 1, ExitCode: null })
    },
  }
  const client = { getContainer: () => ({ exec: () => Promise.resolve(exec) }) }
  return {
    client: () => Promise.resolve(client),
    explain: (error: Error) => error,
  } as unknown as Docker
}

const instance = { id: 'c1', service: 'api' } as Instance
const request = { argv: ['cat'], user: null, workdir: null, env: {} }

test('an abort while the process starts closes its pipes and is told', async () => {
  const stop = new AbortController()
  const pipe = new PassThrough()
  const docker = fakeDocker(pipe, () => stop.abort(new Error('not wanted any more')))
  await expect(openInside(docker, instance, request, stop.signal)).rejects.toThrow('not wanted any more')
  expect(pipe.writableEnded).toBe(true)
})

test('an abort once it runs closes its pipes', async () => {
  const stop = new AbortController()
  const pipe = new PassThrough()
  await openInside(
    fakeDocker(pipe, () => undefined),
    instance,
    request,
    stop.signal,
  )
  expect(pipe.writableEnded).toBe(false)
  stop.abort()
  expect(pipe.writableEnded).toBe(true)
})
