import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import { FrameReader, FrameWriter } from '../../../../src/engines/kind/kube/spdy.js'
import type { Kube } from '../../../../src/engines/kind/kube-ports.js'
import { FakeApiServer } from './fake-api-server.js'
import { FakeSpdy } from './fake-spdy.js'

const FORWARD = '/api/v1/namespaces/shop/pods/api-1/portforward'
const { signal } = new AbortController()

let server: FakeApiServer
let kube: Kube
/** The node's side of each tunnel, in the order in which they were opened. */
let nodes: FakeSpdy[]
let headers: Record<string, unknown>
/** What a node does. */
let script: (node: FakeSpdy) => void
beforeEach(async () => {
  server = await FakeApiServer.start()
  kube = createKube({ access: server.access, namespace: 'shop' })
  nodes = []
  script = takeEverything
  server.onUpgrade(FORWARD, (socket, request) => {
    ;({ headers } = request)
    const node = new FakeSpdy(socket)
    nodes.push(node)
    script(node)
  })
})
afterEach(() => server[Symbol.asyncDispose]())

/** A node that takes every stream and says nothing. */
function takeEverything(node: FakeSpdy): void {
  node.onEvent = (event) => {
    if (event.type === 'open') node.reply(event.stream)
  }
}

/** A node whose program answers what was said in capital letters once all of it was said, and closes. */
function answerInCapitals(node: FakeSpdy): void {
  const said: Buffer[] = []
  let error = 0
  node.onEvent = (event) => {
    if (event.type === 'open') {
      if (event.headers['streamtype'] === 'error') error = event.stream
      node.reply(event.stream)
    }
    if (event.type !== 'data' || event.stream === error) return
    said.push(event.content)
    if (!event.end) return
    node.data(event.stream, Buffer.concat(said.splice(0)).toString().toUpperCase())
    node.data(event.stream, '', true)
    node.data(error, '', true)
  }
}

describe('a connection to a port of a pod', () => {
  it('opens a stream for bytes and one for failures, as the API wants them', async () => {
    await kube.forward('api-1', 8080, signal)
    expect(headers).toMatchObject({ upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'portforward.k8s.io' })
    expect(nodes[0]?.events).toEqual([
      { type: 'open', stream: 1, headers: { streamtype: 'error', port: '8080', requestid: '3' } },
      { type: 'data', stream: 1, content: Buffer.alloc(0), end: true },
      { type: 'open', stream: 3, headers: { streamtype: 'data', port: '8080', requestid: '3' } },
    ])
  })

  it('tells the pod that the client has said all, and still hears the answer', async () => {
    script = answerInCapitals
    const connection = await kube.forward('api-1', 8080, signal)
    connection.write('hel')
    connection.end('lo')
    expect(await text(connection)).toBe('HELLO')
  })

  it('uses a tunnel again once a connection has come to its end', async () => {
    script = answerInCapitals
    for (let round = 1; round <= 3; round++) {
      const connection = await kube.forward('api-1', 8080, signal)
      connection.end(`round ${String(round)}`)
      expect(await text(connection)).toBe(`ROUND ${String(round)}`)
    }
    expect(nodes).toHaveLength(1)
  })

  it('has a tunnel of its own while another one is open', async () => {
    await Promise.all([kube.forward('api-1', 8080, signal), kube.forward('api-1', 8080, signal)])
    expect(nodes).toHaveLength(2)
  })

  it('is not made over a tunnel that died while it was kept', async () => {
    script = answerInCapitals
    const first = await kube.forward('api-1', 8080, signal)
    first.end('x')
    await text(first)
    server.breakConnections()
    const second = await kube.forward('api-1', 8080, signal)
    expect(nodes).toHaveLength(2)
    second.destroy()
  })

  it('fails with the words of the node where nothing listens', async () => {
    const connection = await kube.forward('api-1', 8080, signal)
    nodes[0]?.data(1, 'connection ')
    nodes[0]?.data(1, 'refused', true)
    nodes[0]?.data(3, '', true)
    await expect(text(connection)).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      why: 'connection refused',
    })
  })

  it.each([
    ['is reset', (node: FakeSpdy) => node.reset(3), 'the node reset it'],
    ['breaks', () => server.breakConnections(), 'the node closed it'],
  ])('that %s is an error, not an end', async (_name, happen, why) => {
    const connection = await kube.forward('api-1', 8080, signal)
    const [node] = nodes
    if (node === undefined) throw new Error('no tunnel')
    node.data(3, 'half')
    await vi.waitFor(() => expect(connection.readableLength).toBe(4))
    happen(node)
    await expect(text(connection)).rejects.toMatchObject({ why: expect.stringContaining(why) as string })
  })

  it('is refused in the words of the server', async () => {
    await expect(kube.forward('x', 8080, signal)).rejects.toMatchObject({
      message: 'the cluster refused to reach port 8080 of x',
      why: '404: pods "x" not found',
    })
  })

  it('holds the pod while nobody reads', async () => {
    const connection = await kube.forward('api-1', 8080, signal)
    const piece = Buffer.alloc(32 * 1024, 'y')
    const pieces = 800
    for (let i = 0; i < pieces; i++) nodes[0]?.data(3, piece)
    nodes[0]?.data(3, '', true)
    nodes[0]?.data(1, '', true)
    await vi.waitFor(() => expect(connection.readableLength).toBeGreaterThan(200_000))
    expect(connection.readableLength).toBeLessThan(2_000_000)
    expect((await text(connection)).length).toBe(pieces * piece.length)
  })

  it('answers a ping, and takes no new one once the node leaves', async () => {
    const connection = await kube.forward('api-1', 8080, signal)
    nodes[0]?.ping(7)
    await vi.waitFor(() =>
      expect(nodes[0]?.events.at(-1)).toEqual({ type: 'ping', content: Buffer.of(0, 0, 0, 7) }),
    )
    nodes[0]?.leave()
    nodes[0]?.data(3, '', true)
    nodes[0]?.data(1, '', true)
    connection.resume()
    await new Promise((resolve) => connection.once('close', resolve))
    await kube.forward('api-1', 8080, signal)
    expect(nodes).toHaveLength(2)
  })

  it('ends with its signal', async () => {
    const controller = new AbortController()
    const connection = await kube.forward('api-1', 8080, controller.signal)
    controller.abort()
    await expect(text(connection)).rejects.toMatchObject({ code: 'OPERATION_FAILED' })
    await expect(kube.forward('api-1', 8080, controller.signal)).rejects.toBe(controller.signal.reason)
  })
})

describe('frames', () => {
  it('are put together however they were cut', () => {
    const writer = new FrameWriter()
    const bytes = Buffer.concat([
      writer.data(3, Buffer.from('hello'), false),
      writer.pong(Buffer.of(0, 0, 0, 1)),
      writer.data(3, Buffer.alloc(0), true),
    ])
    for (let size = 1; size <= bytes.length; size++) {
      const reader = new FrameReader()
      const frames = []
      for (let at = 0; at < bytes.length; at += size)
        frames.push(...reader.read(bytes.subarray(at, at + size)))
      expect(frames).toEqual([
        { type: 'data', stream: 3, end: false, content: Buffer.from('hello') },
        { type: 'ping', content: Buffer.of(0, 0, 0, 1) },
        { type: 'data', stream: 3, end: true, content: Buffer.alloc(0) },
      ])
    }
  })

  it('that are none are refused', () => {
    expect(() => new FrameReader().read(Buffer.from('HTTP/1.1 200 OK'))).toThrow()
    expect(() => new FrameReader().read(Buffer.of(0x80, 2, 0, 1, 0, 0, 0, 0))).toThrow('another version')
  })
})
