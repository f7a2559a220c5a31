import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PublishedPort } from '../../../../src/core/project.js'
import { settleForwardPorts } from '../../../../src/engines/kind/forward/ports.js'
import type { ForwardPortOptions } from '../../../../src/engines/kind/forward/ports.js'

describe('the ports of addresses', () => {
  let stateFolder: string
  let taken: Server
  let port: number
  let reasons: string[]

  beforeEach(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'devstack-ports-'))
    taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    port = (taken.address() as AddressInfo).port
    reasons = []
  })
  afterEach(async () => {
    taken.close()
    await rm(stateFolder, { recursive: true })
  })

  const free = async (): Promise<void> => {
    taken.close()
    await once(taken, 'close')
  }
  const settle = async (
    wanted: Readonly<Record<string, number | null>>,
    options: Partial<ForwardPortOptions> = {},
    purpose: 'up' | 'look' = 'up',
  ): Promise<Readonly<Record<string, number | null>>> => {
    const ports = Object.entries(wanted).map(([service, published]): [string, PublishedPort[]] => [
      service,
      [{ target: 80, published, hostIp: '127.0.0.1', protocol: 'tcp' }],
    ])
    const settled = await settleForwardPorts(
      { ports: Object.fromEntries(ports), services: Object.keys(wanted), purpose },
      {
        folder: '/shop',
        primary: true,
        stateFolder,
        holds: () => false,
        portOwner: () => Promise.resolve('postgres (pid 812)'),
        ...options,
      },
      (event) => void (event.type === 'portAssigned' && reasons.push(event.reason)),
    )
    return Object.fromEntries(
      Object.entries(settled).map(([service, [first]]) => [service, first?.published ?? null]),
    )
  }

  test('a free port is as the project says, and nothing is kept', async () => {
    await free()
    expect(await settle({ web: port })).toEqual({ web: port })
    expect(reasons).toEqual(['as the project says'])
    await expect(readFile(join(stateFolder, 'ports.json'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('where somebody else has it the next free one is taken, and kept when the wanted one is free again', async () => {
    const first = await settle({ web: port })
    expect(first['web']).toBeGreaterThan(port)
    expect(first['web']).toBeLessThanOrEqual(port + 100)
    await free()
    expect(await settle({ web: port })).toEqual(first)
    expect(reasons).toEqual([`${String(port)} is taken by postgres (pid 812)`, 'kept'])
  })

  test('the next free one is none that another service wants', async () => {
    const settled = await settle({ web: port, api: port + 1 })
    expect(settled['web']).toBeGreaterThan(port + 1)
  })

  test('a port that this process listens at is its own', async () => {
    expect(await settle({ web: port }, { holds: (held) => held === port })).toEqual({ web: port })
  })

  test('a port that Compose’s stack of the project wants is left to it, also while it is free', async () => {
    await free()
    const first = await settle({ web: port }, { spared: new Set([port]) })
    expect(first['web']).toBeGreaterThan(port)
    expect(reasons).toEqual(["Compose's stack of this project has that one"])
    expect(await settle({ web: port }, { spared: new Set([port]) })).toEqual(first)
  })

  test('another worktree has ports of its own, the same from run to run, though the wanted one is free', async () => {
    await free()
    const first = await settle({ web: port, api: null }, { primary: false })
    expect(first['web']).toBeGreaterThanOrEqual(20_000)
    expect(first['web']).not.toBe(first['api'])
    expect(await settle({ web: port, api: null }, { primary: false })).toEqual(first)
    expect(reasons.slice(2)).toEqual(['kept for this worktree', 'kept for this worktree'])
  })

  test('to look, no port is tried and nothing is kept', async () => {
    expect(await settle({ web: port }, {}, 'look')).toEqual({ web: port })
    await expect(readFile(join(stateFolder, 'ports.json'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a damaged file costs the kept ports, not the run', async () => {
    await free()
    await writeFile(join(stateFolder, 'ports.json'), '{"web')
    expect(await settle({ web: port })).toEqual({ web: port })
  })
})
