import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'

interface Client {
  close(): void
}

type Connect = (
  address: { readonly secure: boolean; readonly host: string; readonly port: number },
  path: string,
  onMessage: (text: string) => void,
  onEnd: () => void,
) => Promise<Client>

// It runs beside Vite as it is, so it is no TypeScript.
const file = new URL('../../../src/presets/react/vite-socket.mjs', import.meta.url).href
const { connect } = (await import(file)) as { readonly connect: Connect }

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A server that speaks by raw frames, once it is connected to. */
async function serve(accept = true): Promise<{ readonly port: number; readonly socket: Promise<Duplex> }> {
  const socket = Promise.withResolvers<Duplex>()
  const server = createServer((_request, response) => response.writeHead(426).end())
  servers.push(server)
  if (accept) {
    server.on('upgrade', ({ headers }, stream) => {
      expect(headers['sec-websocket-protocol']).toBe('vite-hmr')
      expect(headers.origin).toBeUndefined()
      stream.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
      socket.resolve(stream)
    })
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, socket: socket.promise }
}

function frame(first: number, body: Buffer): Buffer {
  if (body.length < 126) return Buffer.concat([Buffer.from([first, body.length]), body])
  const header = Buffer.alloc(body.length < 65_536 ? 4 : 10)
  header[0] = first
  header[1] = header.length === 4 ? 126 : 127
  if (header.length === 4) header.writeUInt16BE(body.length, 2)
  else header.writeBigUInt64BE(BigInt(body.length), 2)
  return Buffer.concat([header, body])
}

const TEXT = 0x81
const BEGIN = 0x01
const END = 0x80
const PING = 0x89
const CLOSE = 0x88

describe('the socket of updates', () => {
  test.each([[5], [125], [126], [65_535], [65_536], [200_000]])('a message of %d bytes', async (size) => {
    const { port, socket } = await serve()
    const got: string[] = []
    await connect(
      { secure: false, host: '127.0.0.1', port },
      '/?token=x',
      (text) => got.push(text),
      () => undefined,
    )
    const stream = await socket
    const text = 'a'.repeat(size)
    stream.write(frame(TEXT, Buffer.from(text)))
    await expect.poll(() => got).toEqual([text])
  })

  test('messages that come byte by byte, in fragments, and around a ping', async () => {
    const { port, socket } = await serve()
    const got: string[] = []
    await connect(
      { secure: false, host: '127.0.0.1', port },
      '/',
      (text) => got.push(text),
      () => undefined,
    )
    const stream = await socket
    const answers: Buffer[] = []
    stream.on('data', (part: Buffer) => answers.push(part))
    const bytes = Buffer.concat([
      frame(BEGIN, Buffer.from('größ').subarray(0, 4)),
      frame(PING, Buffer.from('p')),
      frame(END, Buffer.from('größ').subarray(4)),
      frame(TEXT, Buffer.from('two')),
    ])
    for (const byte of bytes) {
      stream.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await expect.poll(() => got).toEqual(['größ', 'two'])
    await expect.poll(() => Buffer.concat(answers)[0]).toBe(0x8a)
  })

  test('its end is told, whoever ends it', async () => {
    const { port, socket } = await serve()
    const ended = Promise.withResolvers<void>()
    await connect({ secure: false, host: '127.0.0.1', port }, '/', () => undefined, ended.resolve)
    const stream = await socket
    stream.write(frame(CLOSE, Buffer.from([3, 232])))
    await ended.promise
  })

  test('a refusal and a server that is not there reject', async () => {
    const { port } = await serve(false)
    const nothing = (): undefined => undefined
    await expect(connect({ secure: false, host: '127.0.0.1', port }, '/', nothing, nothing)).rejects.toThrow(
      '426',
    )
    await expect(
      connect({ secure: false, host: '127.0.0.1', port: 1 }, '/', nothing, nothing),
    ).rejects.toThrow('ECONNREFUSED')
  })
})
