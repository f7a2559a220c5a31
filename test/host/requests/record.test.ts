import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RecordedEntry } from '../../../src/core/exchange-record.js'
import { createRecording, loadRequests } from '../../../src/host/requests/file.js'
import { startProxy, type Proxy } from '../../../src/host/requests/proxy.js'
import { createRecorder, type Recorder, type RecorderOptions } from '../../../src/host/requests/recorder.js'
import { ask, fakeStack, textOf, type FakeStack } from './world.js'

const clock = { now: () => Date.now(), monotonic: () => performance.now() }

interface Recording extends AsyncDisposable {
  readonly proxy: Proxy
  readonly recorder: Recorder
  readonly entries: readonly RecordedEntry[]
}

async function recording(stack: FakeStack, options: Partial<RecorderOptions> = {}): Promise<Recording> {
  const entries: RecordedEntry[] = []
  const recorder = createRecorder({
    only: [],
    includeSecrets: false,
    clock,
    write: (entry) => Promise.resolve(void entries.push(entry)),
    failed: (error) => {
      throw error
    },
    ...options,
  })
  const proxy = await startProxy({ target: stack.url, port: 0, observer: recorder.observer })
  return { proxy, recorder, entries, [Symbol.asyncDispose]: () => proxy.close() }
}

/** What is written, without times. */
function written(entries: readonly RecordedEntry[]): readonly RecordedEntry[] {
  return entries.map(({ at: _at, ms: _ms, ...entry }) => entry)
}

describe('the proxy in front of a stack', () => {
  it('passes everything on as it is and writes it down', async () => {
    await using stack = await fakeStack((request, response) => {
      void textOf(request).then((text) => {
        response.writeHead(201, {
          'content-type': 'text/plain',
          'x-own': 'yes',
          'set-cookie': ['a=1', 'b=2'],
        })
        response.end(
          `${request.method ?? ''} ${request.url ?? ''} ${String(request.headers['x-mine'])} ${text}`,
        )
      })
    })
    await using record = await recording(stack)
    const answer = await ask(`${record.proxy.url}/a?b=c`, {
      method: 'PUT',
      headers: { 'x-mine': 'm' },
      body: 'hello',
    })
    expect(answer).toMatchObject({ status: 201, text: 'PUT /a?b=c m hello' })
    expect(answer.headers).toMatchObject({ 'x-own': 'yes', 'set-cookie': ['a=1', 'b=2'] })
    expect(await record.recorder.finish()).toMatchObject({ written: 1 })
    expect(written(record.entries)).toEqual([
      { request: 'PUT /a?b=c', headers: { 'x-mine': 'm' }, body: 'hello', status: 201 },
    ])
  })

  it('writes in the order in which requests came, whenever they are answered', async () => {
    const slow = Promise.withResolvers<void>()
    await using stack = await fakeStack((request, response) => {
      if (request.url === '/slow') void slow.promise.then(() => response.end())
      else response.end()
    })
    await using record = await recording(stack)
    const first = ask(`${record.proxy.url}/slow`)
    await vi.waitFor(() => expect(stack.asked).toEqual(['GET /slow']))
    await ask(`${record.proxy.url}/fast`)
    expect(record.entries).toEqual([])
    slow.resolve()
    await first
    await record.recorder.finish()
    expect(record.entries.map(({ request }) => request)).toEqual(['GET /slow', 'GET /fast'])
  })

  it('ends with what is answered until then', async () => {
    await using stack = await fakeStack((request, response) => {
      if (request.url !== '/never') response.end()
    })
    await using record = await recording(stack)
    const never = ask(`${record.proxy.url}/never`).catch(() => 'broken off')
    await vi.waitFor(() => expect(stack.asked).toHaveLength(1))
    await ask(`${record.proxy.url}/a`)
    await record.proxy.close()
    expect(await never).toBe('broken off')
    expect(await record.recorder.finish()).toMatchObject({ written: 1, passedOnly: { unanswered: 1 } })
  })

  it('keeps the client on its side: redirects and links come back to it', async () => {
    await using stack = await fakeStack((request, response) => {
      const own = `http://127.0.0.1:${String(request.socket.localPort)}`
      response.writeHead(302, { location: request.url === '/own' ? `${own}/x` : `${own}1/x` })
      response.end(request.headers.host)
    })
    await using record = await recording(stack)
    const answer = await ask(`${record.proxy.url}/own`)
    expect(answer.headers.location).toBe(`${record.proxy.url}/x`)
    expect(`http://${answer.text}`).toBe(record.proxy.url)
    // Another port that begins with the same digits is another server.
    expect((await ask(`${record.proxy.url}/other`)).headers.location).toBe(`${stack.url}1/x`)
  })

  it('passes streams and WebSockets, and does not record them', async () => {
    await using stack = await fakeStack((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n')
    })
    stack.server.on('upgrade', (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.write(request.headers['sec-websocket-key'] ?? '')
      socket.once('end', () => socket.end())
      socket.on('data', (chunk) => socket.write(`echo ${String(chunk)}`))
    })
    await using record = await recording(stack)
    const first = await new Promise((resolve, reject) => {
      const sent = httpRequest(`${record.proxy.url}/events`, (answer) => {
        answer.once('data', (chunk: Buffer) => {
          resolve(String(chunk))
          sent.destroy()
        })
      })
      sent.on('error', reject).end()
    })
    expect(first).toBe('data: 1\n\n')

    const socket = connect(Number(new URL(record.proxy.url).port), '127.0.0.1')
    let heard = ''
    socket.on('data', (chunk) => (heard += String(chunk)))
    socket.write(
      'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k3y\r\n\r\n',
    )
    await vi.waitFor(() => expect(heard).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nk3y$/s))
    socket.write('hello')
    await vi.waitFor(() => expect(heard).toMatch(/echo hello$/))
    await record.proxy.close()
    await vi.waitFor(() => expect(socket.closed).toBe(true))
    expect(await record.recorder.finish()).toMatchObject({
      written: 0,
      passedOnly: { stream: 1, webSocket: 1 },
    })
  })

  it('says so where the stack does not answer, and records nothing of it', async () => {
    const stack = await fakeStack((_request, response) => response.end())
    await using record = await recording(stack)
    await stack[Symbol.asyncDispose]()
    const answer = await ask(`${record.proxy.url}/`)
    expect(answer.status).toBe(502)
    expect(answer.text).toContain('does not answer')
    expect(await record.recorder.finish()).toMatchObject({ written: 0, passedOnly: { unanswered: 1 } })
  })

  it('leads nowhere else, whatever a client asks for', async () => {
    await using stack = await fakeStack((_request, response) => response.end('the stack'))
    await using record = await recording(stack)
    const raw = async (head: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(Number(new URL(record.proxy.url).port), '127.0.0.1')
        let heard = ''
        socket.on('data', (chunk) => (heard += String(chunk)))
        socket.on('error', () => undefined)
        socket.once('close', () => resolve(heard))
        socket.write(`${head}\r\nHost: x\r\nConnection: close\r\n\r\n`)
      })
    expect(await raw('GET http://192.0.2.1/a HTTP/1.1')).toMatch(/the stack/)
    expect(await raw('CONNECT 192.0.2.1:443 HTTP/1.1')).not.toMatch(/ 200 /)
    expect(stack.asked).toEqual(['GET /a'])
  })

  it('listens on the loopback address, and says when its port is taken', async () => {
    await using stack = await fakeStack((_request, response) => response.end())
    await using record = await recording(stack)
    expect(record.proxy.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const port = Number(new URL(record.proxy.url).port)
    await expect(
      startProxy({ target: stack.url, port, observer: record.recorder.observer }),
    ).rejects.toMatchObject({
      code: 'PORT_TAKEN',
    })
  })

  it('notes a body of more than a megabyte, and passes it', async () => {
    await using stack = await fakeStack((request, response) => {
      void textOf(request).then((text) => response.end(String(text.length)))
    })
    await using record = await recording(stack)
    expect((await ask(record.proxy.url, { method: 'POST', body: Buffer.alloc(3_200_000) })).text).toBe(
      '3200000',
    )
    await record.recorder.finish()
    expect(record.entries[0]).toMatchObject({ request: 'POST /', skip: 'its body of 3.2 MB was not kept' })
    expect(record.entries[0]).not.toHaveProperty('body')
  })

  it('writes bytes as bytes, and only the paths that were asked for', async () => {
    await using stack = await fakeStack((request, response) => {
      request.resume()
      response.end()
    })
    await using record = await recording(stack, { only: ['/api'] })
    await ask(`${record.proxy.url}/main.js`)
    await ask(`${record.proxy.url}/api/logo`, { method: 'PUT', body: Buffer.from([0, 255, 1]) })
    expect(await record.recorder.finish()).toMatchObject({ written: 1 })
    expect(written(record.entries)).toMatchObject([{ request: 'PUT /api/logo', base64: 'AP8B' }])
  })

  it('tells once that the file cannot be written, and goes on passing', async () => {
    await using stack = await fakeStack((_request, response) => response.end('still here'))
    const failures: unknown[] = []
    await using record = await recording(stack, {
      write: () => Promise.reject(new Error('full')),
      failed: (error) => failures.push(error),
    })
    expect((await ask(record.proxy.url)).text).toBe('still here')
    expect(await record.recorder.finish()).toMatchObject({ written: 0 })
    expect(failures).toHaveLength(1)
    expect((await ask(record.proxy.url)).text).toBe('still here')
  })

  it('learns a token of a compressed answer, and writes its name where the client sends it', async () => {
    await using stack = await fakeStack((request, response) => {
      request.resume()
      response.setHeader('content-type', 'application/json')
      response.setHeader('content-encoding', 'gzip')
      response.end(gzipSync('{"token":"0123456789"}'))
    })
    await using record = await recording(stack)
    await ask(`${record.proxy.url}/login`, { method: 'POST', body: '{"password":"hunter22"}' })
    await ask(`${record.proxy.url}/me`, { headers: { authorization: 'Bearer 0123456789' } })
    const summary = await record.recorder.finish()
    expect(written(record.entries)).toMatchObject([
      { json: { password: '${DEVSTACK_SECRET_PASSWORD}' }, keep: { token: '$.token' } },
      { headers: { authorization: 'Bearer ${token}' } },
    ])
    expect(summary.variables).toEqual(['DEVSTACK_SECRET_PASSWORD'])
    expect(JSON.stringify(record.entries)).not.toMatch(/hunter22|0123456789/)
  })
})

describe('the file of a recording', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ds-cmp-'))
  })
  afterEach(async () => rm(folder, { recursive: true }))

  it('is for its user alone, and is read back', async () => {
    const path = join(folder, 'a.ndjson')
    const file = await createRecording(path, false)
    await file.write({ request: 'GET /', status: 200 })
    await file.close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await loadRequests(path)).requests).toMatchObject([
      { method: 'GET', target: '/', at: { line: 2 } },
    ])
  })

  it('never takes the place of a file that somebody named, nor follows a link', async () => {
    const path = join(folder, 'a.ndjson')
    await writeFile(path, 'mine')
    await expect(createRecording(path, false)).rejects.toMatchObject({ code: 'USAGE' })
    await symlink(path, join(folder, 'link'))
    await expect(createRecording(join(folder, 'link'), true)).rejects.toMatchObject({ code: 'USAGE' })
    expect(await readFile(path, 'utf8')).toBe('mine')
  })

  it.each([
    ['there is no such file', 'none.yaml', null],
    ['it is not a file', '.', null],
    [null, 'empty.ndjson', ''],
  ])('that cannot be used is refused: %s', async (why, name, content) => {
    if (content !== null) await writeFile(join(folder, name), content)
    await expect(loadRequests(join(folder, name))).rejects.toMatchObject({ code: 'CONFIG_INVALID', why })
  })
})
