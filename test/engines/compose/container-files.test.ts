import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createContainerFiles } from '../../../src/engines/compose/container-files.js'
import { createDocker } from '../../../src/engines/compose/docker.js'
import { startFakeDocker } from './fake-docker.js'
import type { FakeDocker } from './fake-docker.js'

const PATH = '/containers/c1/archive'
const signal = (): AbortSignal => AbortSignal.timeout(5000)

let docker: FakeDocker
/** What each upload carried, and over how many connections all of them came. */
let uploads: string[]
let connections: Set<unknown>

beforeEach(async () => {
  docker = await startFakeDocker()
  uploads = []
  connections = new Set()
  docker.answers[PATH] = async (response: ServerResponse & { req: IncomingMessage }) => {
    const hash = createHash('sha256')
    for await (const chunk of response.req) hash.update(chunk as Buffer)
    uploads.push(hash.digest('hex'))
    connections.add(response.req.socket)
    response.end()
  }
})
afterEach(async () => {
  await docker.dispose()
})

const open = () => createContainerFiles(createDocker(docker.endpoint))
async function* body(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text))
}
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

test('uploads go over one connection that is kept, and never replace a folder', async () => {
  const files = open()
  for (const text of ['one', 'two', 'three'])
    await files.put('c1', '/', () => Promise.resolve(body(text)), signal())
  expect(uploads).toEqual(['one', 'two', 'three'].map(sha256))
  expect(connections.size).toBe(1)
  expect(docker.asked).toEqual(Array(3).fill(`${PATH}?path=%2F&noOverwriteDirNonDir=true`))
})

test('a kept connection that died with an engine that restarted costs nothing: the upload is made again', async () => {
  const files = open()
  await files.put('c1', '/', () => Promise.resolve(body('first')), signal())
  await docker.stop()
  await docker.start()
  let made = 0
  const make = () => {
    made += 1
    return Promise.resolve(body('sec', 'ond'))
  }
  await files.put('c1', '/', make, signal())
  expect(uploads.at(-1)).toBe(sha256('second'))
  expect(made).toBeGreaterThan(0)
})

test('a refusal that comes before the whole body was sent is told in the engine’s words', async () => {
  docker.answers[PATH] = (response: ServerResponse) => {
    response.writeHead(403).end(JSON.stringify({ message: 'container rootfs is marked read-only' }))
  }
  const large = Buffer.alloc(64 * 1024, 'x').toString()
  const uploading = open().put('c1', '/', () => Promise.resolve(body(large, large, large)), signal())
  await expect(uploading).rejects.toMatchObject({
    message: 'container rootfs is marked read-only',
    statusCode: 403,
  })
})

test.each([
  ['a folder', 2 ** 31 + 0o755, '', { kind: 'folder', leadsTo: '' }],
  ['a link', 2 ** 27 + 0o777, '/data', { kind: 'link', leadsTo: '/data' }],
  ['a file', 0o644, '', { kind: 'other', leadsTo: '' }],
  ['a folder with the sticky bit', 2 ** 31 + 2 ** 20 + 0o777, '', { kind: 'folder', leadsTo: '' }],
])('%s is known by the bits of its mode', async (_, mode, linkTarget, expected) => {
  docker.answers[PATH] = (response: ServerResponse) => {
    const about = Buffer.from(JSON.stringify({ name: 'x', mode, linkTarget })).toString('base64')
    response.setHeader('X-Docker-Container-Path-Stat', about)
    response.end()
  }
  expect(await open().stat('c1', '/x', signal())).toEqual(expected)
})

test('what is not there is none, an engine that is away an error', async () => {
  expect(await open().stat('c2', '/x', signal())).toBeNull()
  await docker.stop()
  await expect(open().stat('c1', '/x', signal())).rejects.toMatchObject({ code: 'ENOENT' })
})

test('an abort ends an upload', async () => {
  const stop = new AbortController()
  docker.answers[PATH] = () => stop.abort(new Error('not wanted any more'))
  const uploading = open().put('c1', '/', () => Promise.resolve(body('text')), stop.signal)
  await expect(uploading).rejects.toThrow()
  expect(stop.signal.aborted).toBe(true)
})
