import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { clashes, formatOwner, parseListeners, portOwner } from '../../../src/host/doctor/ports.js'

const env = process.env

async function listening(host: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) =>
        server.close(() => {
          resolve()
        }),
      ),
  }
}

describe('the owner of a port', () => {
  it.each(['127.0.0.1', '::1', '0.0.0.0', '::'])('is found on %s', async (host) => {
    await using server = await listening(host)
    expect(await portOwner(server.port, { env })).toMatchObject({
      pid: process.pid,
      address: host,
      container: null,
    })
  })

  it('is another process, by its name', async () => {
    const script =
      'require("net").createServer().listen(0, "127.0.0.1", function () { console.log(this.address().port) })'
    const child = execa(process.execPath, ['-e', `process.title = 'postgres'; ${script}`], { reject: false })
    const port = Number((await child.iterable()[Symbol.asyncIterator]().next()).value)
    const owner = await portOwner(port, { env })
    expect(owner).toMatchObject({ pid: child.pid, command: 'postgres' })
    expect(owner && formatOwner(owner)).toBe(`postgres (pid ${String(child.pid)})`)
    child.kill()
    await child
  })

  it('is nobody where nobody listens, or only on an address that does not clash', async () => {
    let port
    {
      await using server = await listening('127.0.0.1')
      port = server.port
      expect(await portOwner(port, { env, hostIp: '127.0.0.2' })).toBeNull()
      expect(await portOwner(port, { env, hostIp: '::1' })).toBeNull()
      expect(await portOwner(port, { env, hostIp: '0.0.0.0' })).toMatchObject({ pid: process.pid })
    }
    expect(await portOwner(port, { env })).toBeNull()
  })
})

it('reads the kernel’s tables, v4, v6 and v4 in v6, listeners only', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1
   1: 0100007F:1538 0200007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1
   2: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1
   3: 0000000000000000FFFF00000100007F:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4714 1
   4: B80D01200000000067452301EFCDAB89:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4715 1`
  expect(parseListeners(table, 5432)).toEqual([
    { address: '127.0.0.1', inode: '4711' },
    { address: '::1', inode: '4713' },
    { address: '127.0.0.1', inode: '4714' },
    { address: '2001:db8::123:4567:89ab:cdef', inode: '4715' },
  ])
  expect(parseListeners(table, 5433)).toEqual([])
})

it.each([
  ['127.0.0.1', '127.0.0.1', true],
  ['0.0.0.0', '127.0.0.1', true],
  ['::', '127.0.0.1', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['::1', '127.0.0.1', false],
])('%s and %s clash: %s', (one, other, expected) => {
  expect(clashes(one, other)).toBe(expected)
  expect(clashes(other, one)).toBe(expected)
})
