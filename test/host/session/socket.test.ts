import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connectSession } from '../../../src/host/session/client.js'
import { listen, serve } from '../../../src/host/session/server.js'
import type { Session } from '../../../src/orchestrator/session.js'
import { createFakeEngine } from '../../fakes/fake-engine.js'
import { startSession, up } from '../../orchestrator/harness.js'

let folder: string
let path: string
const sessions: { readonly session: Session; readonly served: Promise<void> }[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-socket-'))
  path = join(folder, 'session.sock')
})

afterEach(async () => {
  for (const { session, served } of sessions.splice(0)) {
    await session.end('the test is over')
    await served
  }
  await rm(folder, { recursive: true })
})

async function open(): Promise<ReturnType<typeof startSession>> {
  const server = await listen(path)
  const harness = startSession(
    createFakeEngine({ name: 'demo', services: [{ name: 'db', healthyAfter: 5 }] }),
  )
  const served = serve(server, harness.session, {
    version: '1',
    build: 'test',
    lasting: true,
    usage: () => Promise.resolve([]),
  })
  sessions.push({ session: harness.session, served })
  return harness
}

async function join_(): Promise<NonNullable<Awaited<ReturnType<typeof connectSession>>>> {
  const client = await connectSession(path)
  if (client === null) throw new Error('nobody listens')
  return client
}

describe('the session socket', () => {
  it('is for its owner only', async () => {
    await open()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('gives a client that joins the state, then every Event', async () => {
    const { session } = await open()
    const client = await join_()
    const seen: number[] = []
    client.subscribe((event) => seen.push(event?.seq ?? -1))
    await client.send(up)
    expect(client.getState()).toEqual(session.store.getState())
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    const late = await join_()
    expect(late.getState()).toEqual(session.store.getState())
    client.close()
    late.close()
  })

  it('lets who started the session hear it from its first Event', async () => {
    const { session } = await open()
    const client = await connectSession(path, true)
    await client?.send(up)
    const seen: number[] = []
    client?.subscribe((event) => seen.push(event?.seq ?? -1))
    expect(seen).toEqual(Array.from({ length: session.store.getState().seq }, (_, index) => index + 1))
    expect(client?.getState()).toEqual(session.store.getState())
    client?.close()
  })

  it('answers an intent that cannot be carried out with its error', async () => {
    await open()
    const client = await join_()
    await expect(client.send({ ...up, services: ['nope'] })).rejects.toMatchObject({
      code: 'UNKNOWN_SERVICE',
    })
    client.close()
  })

  it('is not harmed by a client that hangs up, or that sends nonsense', async () => {
    const { session } = await open()
    const socket = connect(path)
    socket.write('{"id":1,"subscribe":true}\nthis is no JSON\n')
    await new Promise((resolve) => socket.resume().once('close', resolve))
    const gone = await join_()
    gone.close()
    const client = await join_()
    await client.send(up)
    expect(session.store.getState().phase).toBe('ready')
    client.close()
  })

  it('belongs to one session: a second one is refused', async () => {
    await open()
    await expect(listen(path)).rejects.toMatchObject({ code: 'LOCKED' })
  })

  it('is taken over from a session that was killed', async () => {
    await writeFile(path, '')
    await open()
    const client = await join_()
    expect(client.hello.pid).toBe(process.pid)
    client.close()
  })

  it('greets who came before the session was there', async () => {
    const server = await listen(path)
    const connected = new Promise<void>((resolve) => server.once('connection', () => resolve()))
    const joining = join_()
    await connected
    const { session } = startSession(createFakeEngine({ name: 'demo', services: [] }))
    const options = { version: '1', build: 'test', lasting: true, usage: () => Promise.resolve([]) }
    sessions.push({ session, served: serve(server, session, options) })
    const client = await joining
    expect(client.hello.pid).toBe(process.pid)
    client.close()
  })

  it('has one winner where two start at once', async () => {
    const both = await Promise.allSettled([listen(path), listen(path)])
    expect(both.map(({ status }) => status).toSorted((a, b) => a.localeCompare(b))).toEqual([
      'fulfilled',
      'rejected',
    ])
    for (const one of both) if (one.status === 'fulfilled') one.value.close()
  })

  it('cuts a client that does not read back to a fresh snapshot', async () => {
    const { session } = await open()
    const socket = connect(path)
    socket.write('{"id":1,"subscribe":true}\n')
    let text = ''
    const read = (chunk: Buffer): void => {
      text += chunk.toString()
    }
    socket.on('data', read)
    await vi.waitFor(() => expect(text).toContain('"snapshot"'))
    socket.pause()
    const message = 'x'.repeat(100_000)
    for (let index = 0; index < 200; index += 1)
      session.store.emit({ type: 'warned', message, hint: null, place: null })
    socket.resume()
    await vi.waitFor(() => expect(text.match(/"snapshot"/g)).toHaveLength(2), 5000)
    const events = text.match(/"type":"warned"/g)?.length ?? 0
    expect(events).toBeLessThan(200)
    socket.destroy()
  })

  it('tells every client that the session ended', async () => {
    const { session } = await open()
    const client = await join_()
    await session.end('over')
    await client.closed
    expect(client.getState().phase).toBe('ended')
  })
})
