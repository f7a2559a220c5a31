import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import type { ExecOptions, Kube } from '../../../../src/engines/kind/kube-ports.js'
import { FakeApiServer } from './fake-api-server.js'

const EXEC = '/api/v1/namespaces/shop/pods/api-1/exec'
const { signal } = new AbortController()

let server: FakeApiServer
let kube: Kube
beforeEach(async () => {
  server = await FakeApiServer.start()
  kube = createKube({ access: server.access, namespace: 'shop' })
})
afterEach(() => server[Symbol.asyncDispose]())

const frame = (channel: number, content: string | Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(channel), Buffer.from(content)])
const status = (content: object): Buffer => frame(3, JSON.stringify(content))
const exited = (code: number): Buffer =>
  code === 0
    ? status({ status: 'Success' })
    : status({
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
      })

const options = (more: Partial<ExecOptions> = {}): ExecOptions => ({
  pod: 'api-1',
  container: 'api',
  argv: ['sh', '-c', 'a b'],
  stdin: false,
  tty: false,
  ...more,
})

/** What a client sends, by channel, until it ends stdin (`255 0`). */
function receiving(socket: WebSocket): Promise<{ readonly channels: Buffer[][]; readonly largest: number }> {
  const channels: Buffer[][] = []
  let largest = 0
  return new Promise((resolve) => {
    socket.on('message', (data: Buffer) => {
      largest = Math.max(largest, data.length)
      const [channel = 0] = data
      if (channel === 255) resolve({ channels, largest })
      else (channels[channel] ??= []).push(data.subarray(1))
    })
  })
}

describe('a process in a pod', () => {
  it('is asked for word by word, and its two streams and exit code are kept apart', async () => {
    let query = new URLSearchParams()
    server.onWebSocket(EXEC, (socket, asked) => {
      query = asked
      for (const message of [frame(1, ''), frame(1, 'out'), frame(2, 'err'), frame(1, 'put'), exited(3)]) {
        socket.send(message)
      }
    })
    const process = await kube.exec(options(), signal)
    expect(await Promise.all([text(process.stdout), text(process.stderr)])).toEqual(['output', 'err'])
    expect(await process.ended).toEqual({ exitCode: 3, cause: null })
    await process.started
    expect(query.getAll('command')).toEqual(['sh', '-c', 'a b'])
    expect(query.get('container')).toBe('api')
    expect([query.get('stdin'), query.get('stdout'), query.get('stderr'), query.get('tty')]).toEqual([
      'false',
      'true',
      'true',
      'false',
    ])
  })

  it('gets stdin in messages of bounded size, and its end while it goes on', async () => {
    const sent = Buffer.alloc(300_000, 'x')
    let largest = 0
    server.onWebSocket(EXEC, (socket) => {
      void receiving(socket).then((received) => {
        largest = received.largest
        socket.send(frame(1, String(Buffer.concat(received.channels[0] ?? []).length)))
        socket.send(exited(0))
      })
    })
    const process = await kube.exec(options({ stdin: true }), signal)
    process.stdin.end(sent)
    expect(await text(process.stdout)).toBe('300000')
    expect(await process.ended).toEqual({ exitCode: 0, cause: null })
    expect(largest).toBeLessThanOrEqual(64 * 1024 + 1)
  })

  it('on an older server, which cannot end stdin alone, is ended as a whole', async () => {
    server.protocols = ['v4.channel.k8s.io']
    server.onWebSocket(EXEC, () => undefined)
    const process = await kube.exec(options({ stdin: true }), signal)
    process.stdin.end('x')
    expect(await process.ended).toEqual({ exitCode: null, cause: 'the connection was closed' })
  })

  it('with a terminal has one stream, and is told its size', async () => {
    let query = new URLSearchParams()
    server.onWebSocket(EXEC, (socket, asked) => {
      query = asked
      socket.on('message', (data: Buffer) => {
        socket.send(frame(1, data))
        socket.send(exited(0))
      })
    })
    const process = await kube.exec(options({ tty: true, stdin: true }), signal)
    process.resize(120, 40)
    expect(await text(process.stdout)).toBe('\u0004{"Width":120,"Height":40}')
    expect([query.get('stderr'), query.get('tty')]).toEqual(['false', 'true'])
  })

  it('that is not there is told after the fact', async () => {
    const message = 'exec: "nope": executable file not found in $PATH'
    server.onWebSocket(EXEC, (socket) => {
      socket.send(frame(1, ''))
      socket.send(status({ status: 'Failure', reason: 'InternalError', message }))
    })
    const process = await kube.exec(options(), signal)
    expect(await process.ended).toEqual({ exitCode: null, cause: message })
    await expect(process.started).rejects.toMatchObject({ code: 'EXEC_FAILED', why: message })
  })

  it('is refused by the server with its words', async () => {
    await expect(kube.exec(options({ pod: 'x' }), signal)).rejects.toMatchObject({
      code: 'EXEC_FAILED',
      message: 'the cluster refused to run sh in x',
      why: '404: pods "x" not found',
    })
  })

  it('whose connection breaks has no exit code, and what it printed before is there', async () => {
    server.onWebSocket(EXEC, (socket) => socket.send(frame(1, 'half'), () => socket.terminate()))
    const process = await kube.exec(options({ stdin: true }), signal)
    expect(await text(process.stdout)).toBe('half')
    expect(await process.ended).toEqual({ exitCode: null, cause: 'the connection broke' })
    await new Promise((resolve) => process.stdin.write('x', resolve))
  })

  it('is held while nobody reads what it prints', async () => {
    const piece = frame(1, Buffer.alloc(64 * 1024, 'y'))
    const pieces = 400
    let waits = (): number => 0
    server.onWebSocket(EXEC, (socket) => {
      waits = () => socket.bufferedAmount
      for (let i = 0; i < pieces; i++) socket.send(piece)
      socket.send(exited(0))
    })
    const process = await kube.exec(options(), signal)
    await vi.waitFor(() => expect(process.stdout.readableLength).toBeGreaterThan(200_000))
    // What the sockets of both sides do not hold still waits at the server.
    expect(waits()).toBeGreaterThan(5_000_000)
    expect(process.stdout.readableLength).toBeLessThan(2_000_000)
    expect((await text(process.stdout)).length).toBe(pieces * 64 * 1024)
    expect(await process.ended).toEqual({ exitCode: 0, cause: null })
  })

  it('is left when it is closed or aborted', async () => {
    const left: string[] = []
    server.onWebSocket(EXEC, (socket) => socket.on('close', (code) => left.push(String(code))))
    const first = await kube.exec(options(), signal)
    first.close()
    expect((await first.ended).exitCode).toBeNull()
    const controller = new AbortController()
    const second = await kube.exec(options(), controller.signal)
    controller.abort()
    expect((await second.ended).exitCode).toBeNull()
    expect(left[0]).toBe('1000')
    await expect(kube.exec(options(), controller.signal)).rejects.toBe(controller.signal.reason)
  })
})
