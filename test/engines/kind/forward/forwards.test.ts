import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DevstackError } from '../../../../src/core/error.js'
import { createForwards } from '../../../../src/engines/kind/forward/forwards.js'
import type { ForwardState, Forwards } from '../../../../src/engines/kind/forward/forwards.js'
import { createPodFeed } from '../../../../src/engines/kind/pod-feed.js'
import { eventually } from '../../../contract/eventually.js'
import { FakePods, pod } from '../fake-pods.js'

/** A program in a pod. */
type Program = (socket: Socket) => void

describe('addresses of pods', () => {
  let kube: FakePods
  let forwards: Forwards
  let told: ForwardState[]
  let wake: () => void
  let port: number
  let programs: Map<string, Server>
  let dialled: Duplex[]

  beforeEach(async () => {
    kube = new FakePods()
    told = []
    programs = new Map()
    dialled = []
    port = await freePort()
    kube.dial = (name) => Promise.resolve(keep(dialTo(programs.get(name))))
    forwards = make({ waitMs: 5000 })
  })
  afterEach(async () => {
    await forwards.close()
    for (const server of programs.values()) server.close()
    for (const stream of dialled) stream.destroy()
  })

  const make = (limits: Parameters<typeof createForwards>[0]['limits']): Forwards => {
    const wakes = {
      onWake: (tell: () => void) => {
        wake = tell
        return () => undefined
      },
    }
    return createForwards({
      kube,
      feed: createPodFeed(kube, { labelSelector: 'x', wakes: { onWake: () => () => undefined } }),
      wakes,
      changed: (state) => told.push(state),
      now: () => 1000,
      portOwner: () => Promise.resolve('postgres (pid 812)'),
      limits,
    })
  }
  const keep = (stream: Duplex): Duplex => {
    dialled.push(stream)
    return stream
  }
  const target = (targetPort: number | string = 80) => ({
    service: 'web',
    port: { target: 80, published: port, hostIp: '127.0.0.1', protocol: 'tcp' as const },
    route: { selector: { app: 'web' }, targetPort },
  })
  /** A ready pod with its program. */
  const run = async (name: string, program: Program, ready = true): Promise<void> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      program(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    programs.set(name, server)
    kube.put(webPod(name, ready))
  }
  const open = (): Socket => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => undefined)
    return socket
  }
  const ask = async (text = 'hello'): Promise<string> => {
    const socket = open()
    socket.end(text)
    return String(await buffer(socket))
  }
  const isGreen = async (): Promise<void> =>
    await eventually(() => Promise.resolve(expect(forwards.states()[0]).toMatchObject({ ok: true })))
  const forwarded = (): number => kube.asked.filter((text) => text.startsWith('forward')).length

  test('a connection is carried to a ready pod, both ways, to the end of both', async () => {
    await run('web-1', echo)
    await forwards.set([target()])
    expect(await ask('a request')).toBe('a request')
    await eventually(() => Promise.resolve(expect(forwards.load).toBe(0)))
  })

  test('connections go to the pods in turn, each by its own stream; a pod that is not ready gets none', async () => {
    for (const name of ['web-1', 'web-2']) await run(name, (socket) => socket.end(name))
    await run('web-3', (socket) => socket.end('web-3'), false)
    await forwards.set([target()])
    await isGreen()
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask()))
    expect(answers.filter((answer) => answer === 'web-1')).toHaveLength(5)
    expect(answers.filter((answer) => answer === 'web-2')).toHaveLength(5)
  })

  test('a named port is looked up in the pod', async () => {
    await run('web-1', echo)
    const [first] = kube.pods.values()
    if (first !== undefined) {
      const containers = [{ name: 'web', image: 'x', ports: [{ name: 'http', containerPort: 8081 }] }]
      kube.put({ ...first, spec: { ...first.spec, containers } })
    }
    await forwards.set([target('http')])
    expect(await ask()).toBe('hello')
    expect(kube.asked).toContain('forward web-1:8081')
  })

  test('while no pod is ready a connection waits, and is served by the first that is', async () => {
    await run('web-1', echo, false)
    await forwards.set([target()])
    const answer = ask()
    await eventually(() => Promise.resolve(expect(forwards.load).toBe(1)))
    kube.put(webPod('web-1', true))
    expect(await answer).toBe('hello')
  })

  test('it waits for so long and no longer; then the client sees a reset and the address is red', async () => {
    await forwards.close()
    forwards = make({ waitMs: 200 })
    await forwards.set([target()])
    const socket = open()
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
    expect(forwards.states()).toEqual([
      {
        service: 'web',
        target: 80,
        hostIp: '127.0.0.1',
        port,
        ok: false,
        since: 1000,
        cause: 'no pod is ready',
      },
    ])
  })

  test('a pod whose program does not listen yet: what the client said is said again when it does', async () => {
    await run('web-1', echo)
    let refusals = 3
    kube.dial = () => Promise.resolve(keep(refusals-- > 0 ? refused() : dialTo(programs.get('web-1'))))
    await forwards.set([target()])
    expect(await ask('once, though it was sent four times')).toBe('once, though it was sent four times')
  })

  test('a request that a pod may have seen is not sent to another one', async () => {
    const requests: string[] = []
    await run('web-1', (socket) =>
      socket.once('data', (chunk) => {
        requests.push(String(chunk))
        socket.resetAndDestroy()
      }),
    )
    await forwards.set([target()])
    await isGreen()
    const socket = open()
    socket.write('POST /orders')
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
    expect(requests).toEqual(['POST /orders'])
  })

  test('when a pod goes its connections end and the next go to another', async () => {
    await run('web-1', (socket) => socket.write('web-1'))
    await forwards.close()
    forwards = make({ closeMs: 50 })
    await forwards.set([target()])
    const socket = open()
    expect(String((await once(socket, 'data'))[0])).toBe('web-1')
    await run('web-2', (other) => other.end('web-2'))
    const broken = once(socket, 'error')
    kube.remove('web-1')
    await broken
    await eventually(async () => expect(await ask()).toBe('web-2'))
  })

  test('a client that has said all still gets the whole answer', async () => {
    const answer = randomBytes(3_000_000)
    await run('web-1', (socket) => {
      socket.on('end', () => socket.end(answer))
      socket.resume()
    })
    await forwards.set([target()])
    const socket = open()
    socket.end('hello')
    expect((await buffer(socket)).equals(answer)).toBe(true)
  })

  test('a client that was answered and closes is not kept, though its pod is not told', async () => {
    await forwards.close()
    forwards = make({ answeredMs: 50 })
    await run('web-1', (socket) => socket.on('data', () => socket.write('an answer')))
    await forwards.set([target()])
    const socket = open()
    socket.write('a request')
    await once(socket, 'data')
    socket.destroy()
    await eventually(() => Promise.resolve(expect(forwards.load).toBe(0)))
    await eventually(() => Promise.resolve(expect(dialled.every(({ destroyed }) => destroyed)).toBe(true)))
  })

  test('nor is one that connects, says nothing and closes', async () => {
    await forwards.close()
    forwards = make({ answeredMs: 50 })
    await run('web-1', (socket) => socket.resume())
    await forwards.set([target()])
    const socket = open()
    await once(socket, 'connect')
    socket.destroy()
    await eventually(() => Promise.resolve(expect(forwards.load).toBe(0)))
  })

  test('a program that never answers a client that has said all does not keep it for ever', async () => {
    await forwards.close()
    forwards = make({ halfClosedMs: 100 })
    await run('web-1', (socket) => socket.resume())
    await forwards.set([target()])
    const socket = open()
    socket.end('hello')
    await once(socket, 'error')
    await eventually(() => Promise.resolve(expect(forwards.load).toBe(0)))
  })

  test('a slow reader slows the pod down; what is in between stays small', async () => {
    const total = 64 * 1024 * 1024
    let sent = 0
    await run('web-1', (socket) => {
      const chunk = Buffer.alloc(64 * 1024)
      const send = (): void => {
        while (sent < total && socket.writable) {
          sent += chunk.length
          if (!socket.write(chunk)) {
            socket.once('drain', send)
            return
          }
        }
        socket.end()
      }
      send()
    })
    await forwards.set([target()])
    await eventually(() => Promise.resolve(expect(forwards.states()[0]?.ok).toBe(true)))
    sent = 0
    const socket = open()
    await once(socket, 'readable')
    let before = -1
    await eventually(() => {
      const still = sent === before
      before = sent
      expect(still).toBe(true)
      return Promise.resolve()
    })
    expect(sent).toBeLessThan(total / 2)
    let got = 0
    for await (const chunk of socket) got += (chunk as Buffer).length
    expect(got).toBe(total)
  })

  test('bytes arrive as they were sent, in both directions at once', async () => {
    await run('web-1', echo)
    await forwards.set([target()])
    const data = randomBytes(20_000_000)
    const socket = open()
    socket.end(data)
    const back = await buffer(socket)
    expect(createHash('sha256').update(back).digest('hex')).toBe(
      createHash('sha256').update(data).digest('hex'),
    )
  })

  test('a thousand connections, many of them broken off, leave nothing behind', async () => {
    await run('web-1', echo)
    await forwards.set([target()])
    await isGreen()
    const before = process.getActiveResourcesInfo().length
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          if (index % 5 === 0) return await breakOff(open())
          expect(await ask(String(index))).toBe(String(index))
        }),
      )
    }
    await eventually(() => Promise.resolve(expect(forwards.load).toBe(0)))
    await eventually(() => Promise.resolve(expect(dialled.every(({ destroyed }) => destroyed)).toBe(true)))
    await eventually(() =>
      Promise.resolve(expect(process.getActiveResourcesInfo().length).toBeLessThan(before + 20)),
    )
  })

  test('an address that is taken is named with its owner; the others are there', async () => {
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    const second = await freePort()
    const free = { ...target(), service: 'api', port: { ...target().port, published: second } }
    await expect(forwards.set([target(), free])).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `port ${String(port)} is taken by postgres (pid 812)`,
    })
    expect(forwards.states().map(({ service }) => service)).toEqual(['api'])
    expect([forwards.holds(port), forwards.holds(second)]).toEqual([false, true])
    other.close()
  })

  test('an address that stays keeps its connections while others come and go', async () => {
    await run('web-1', echo)
    await forwards.set([target()])
    const socket = open()
    socket.write('one')
    await once(socket, 'data')
    const second = await freePort()
    await forwards.set([
      target(),
      { ...target(), service: 'api', port: { ...target().port, published: second } },
    ])
    await forwards.set([target()])
    socket.write('two')
    expect(String((await once(socket, 'data'))[0])).toBe('two')
    await forwards.close()
    await eventually(() => Promise.resolve(expect(socket.closed).toBe(true)))
    expect(kube.watching).toBe(0)
  })

  test('it listens at this machine only, whatever the manifests say', async () => {
    await forwards.set([{ ...target(), port: { ...target().port, hostIp: '0.0.0.0' } }])
    const everywhere = createServer().listen({ port, host: '127.0.0.2', exclusive: true })
    await once(everywhere, 'listening')
    everywhere.close()
  })

  test('UDP is refused with the reason', async () => {
    const udp = { ...target(), port: { ...target().port, protocol: 'udp' as const } }
    await expect(forwards.set([udp])).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  describe('its light', () => {
    test('is green once an answer came to a request of its own, and then nothing is sent while nobody asks', async () => {
      await forwards.set([target()])
      expect(forwards.states()[0]).toMatchObject({ ok: null })
      await run('web-1', (socket) => socket.end('hello'))
      await isGreen()
      expect(forwarded()).toBe(1)
      kube.put(pod({ name: 'other', labels: { app: 'other' }, containers: { other: {} } }))
      kube.bookmark()
      await ask()
      expect(forwarded()).toBe(2)
      expect(told.map(({ ok }) => ok)).toEqual([true])
    })

    test('is red with the reason while no pod is ready, and green again when one is', async () => {
      await run('web-1', (socket) => socket.end('hello'))
      await forwards.set([target()])
      await isGreen()
      kube.put(webPod('web-1', false))
      await eventually(() =>
        Promise.resolve(expect(told.at(-1)).toMatchObject({ ok: false, cause: 'no pod is ready' })),
      )
      kube.put(webPod('web-1', true))
      await isGreen()
    })

    test('is red when nobody listens in a pod that calls itself ready; the traffic makes it green', async () => {
      await run('web-1', echo)
      kube.dial = () => Promise.resolve(keep(refused()))
      await forwards.set([target()])
      await eventually(() => Promise.resolve(expect(told.at(-1)?.cause).toMatch(/connection refused/)))
      kube.dial = () => Promise.resolve(keep(dialTo(programs.get('web-1'))))
      expect(await ask()).toBe('hello')
      expect(forwards.states()[0]).toMatchObject({ ok: true, cause: null })
    })

    test('is looked at again after the machine woke', async () => {
      await run('web-1', (socket) => socket.end('hello'))
      await forwards.set([target()])
      await isGreen()
      kube.dial = () => Promise.reject(new DevstackError('ENGINE_GONE', 'the cluster does not answer'))
      wake()
      await eventually(() =>
        Promise.resolve(
          expect(forwards.states()[0]).toMatchObject({ ok: false, cause: 'the cluster does not answer' }),
        ),
      )
    })

    test('is red while the API server is away, and looked at when it is back', async () => {
      await run('web-1', (socket) => socket.end('hello'))
      await forwards.set([target()])
      await isGreen()
      await eventually(() => Promise.resolve(expect(kube.watching).toBe(1)))
      kube.away = true
      kube.breakWatches()
      await eventually(() =>
        Promise.resolve(
          expect(forwards.states()[0]).toMatchObject({ ok: false, cause: 'the cluster does not answer' }),
        ),
      )
      kube.away = false
      await isGreen()
    })
  })
})

function webPod(name: string, ready: boolean) {
  return pod({ name, labels: { app: 'web' }, ready, containers: { web: {} } })
}

const echo: Program = (socket) => void socket.pipe(socket)

function dialTo(server: Server | undefined): Duplex {
  if (server === undefined) return refused()
  return connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
}

/** As a pod in which nobody listens: the stream opens, and then breaks. */
function refused(): Duplex {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  const cause = 'failed to connect to localhost:80: dial tcp4 127.0.0.1:80: connect: connection refused'
  setImmediate(() => stream.destroy(new DevstackError('OPERATION_FAILED', 'the connection broke', { cause })))
  return stream
}

async function breakOff(socket: Socket): Promise<void> {
  socket.write('never mind')
  await once(socket, 'connect')
  socket.resetAndDestroy()
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
