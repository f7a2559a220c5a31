import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Progress } from '../../../../src/core/events.js'
import type { DevstackError } from '../../../../src/core/error.js'
import type { Docker } from '../../../../src/engines/compose/docker.js'
import { readClusterConfig } from '../../../../src/engines/kind/cluster/config.js'
import { requireFreePorts } from '../../../../src/engines/kind/cluster/ports.js'
import { followCreation } from '../../../../src/engines/kind/cluster/progress.js'
import { readRecord, withLock, writeRecord } from '../../../../src/engines/kind/cluster/state.js'
import { ClusterFolder } from './cluster-world.js'

const { signal } = new AbortController()

let folder: ClusterFolder
beforeEach(() => {
  folder = new ClusterFolder()
})
afterEach(() => folder[Symbol.dispose]())

describe('the configuration of a cluster', () => {
  const read = (text: string) => {
    const file = join(folder.root, 'cluster.yaml')
    writeFileSync(file, text)
    return readClusterConfig(file)
  }
  const head = 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n'

  it('is one node without ports where the project has none', async () => {
    const { text, ports } = await readClusterConfig(null)
    expect(text).toContain('apiServerAddress: 127.0.0.1')
    expect(text.match(/role:/g)).toHaveLength(1)
    expect(ports).toEqual([])
  })

  it('names the ports of this machine that it takes', async () => {
    const { ports } = await read(
      `${head}networking: { apiServerPort: 6443 }
nodes:
  - role: control-plane
    extraPortMappings:
      - { containerPort: 30080, hostPort: 8080, listenAddress: 127.0.0.1 }
      - { containerPort: 30081, hostPort: 0, listenAddress: '::1' }
`,
    )
    expect(ports).toEqual([
      { host: '127.0.0.1', port: 6443 },
      { host: '127.0.0.1', port: 8080 },
    ])
  })

  it('opens nothing to the network: each such place is refused', async () => {
    const error = (await read(
      `${head}networking:
  apiServerAddress: 0.0.0.0
nodes:
  - role: control-plane
    extraPortMappings:
      - containerPort: 30080
        hostPort: 8080
      - containerPort: 30081
        listenAddress: 192.168.1.5
`,
    ).catch((error: unknown) => error)) as DevstackError
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.problems.map(({ message, at }) => [message, at?.line])).toEqual([
      ['the API server would be open to the network', 4],
      ['port 8080 would be open to the network', 8],
      ['this port would be open to the network', 11],
    ])
  })

  it('is refused where it is another thing, or no YAML', async () => {
    await expect(read('kind: Pod\n')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(read('a: [\n')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('names who holds a port before anything is made', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const { port } = holder.address() as AddressInfo
    const containers = [{ Names: ['/shop-nginx-1'], Ports: [{ PublicPort: 1 }] }]
    const docker = { get: () => Promise.resolve(containers) } as unknown as Docker
    const ports = [
      { host: '127.0.0.1', port },
      { host: '127.0.0.1', port: 1 },
    ]
    const owner = () => Promise.resolve('postgres (pid 812)')
    await expect(requireFreePorts(ports, docker, owner, signal)).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `port ${String(port)} is taken by postgres (pid 812)`,
      why: "the cluster's configuration publishes it; port 1 is taken by container shop-nginx-1",
    })
    await new Promise((resolve) => holder.close(resolve))
    await requireFreePorts(ports.slice(0, 1), docker, owner, signal)
  })
})

describe('the progress of a creation', () => {
  it('follows what kind prints, against what each step took the last time', () => {
    const told: Progress[] = []
    let now = 0
    const usual = { 'Preparing nodes': 2000, 'Starting control-plane': 10_000 }
    const creation = followCreation(
      usual,
      false,
      () => now,
      (progress) => told.push(progress),
    )
    creation.tell()
    creation.line('Creating cluster "devstack" ...')
    expect(told).toEqual([])
    creation.line(' • Ensuring node image (devstack/kind-node:1) 🖼  ...')
    creation.line(' ✓ Ensuring node image (devstack/kind-node:1) 🖼')
    creation.line(' • Preparing nodes 📦   ...')
    now = 1500
    creation.line(' ✓ Preparing nodes 📦 ')
    creation.line(' • Starting control-plane 🕹️  ...')
    now = 6500
    creation.tell()
    expect(told.at(-1)).toEqual({
      text: 'Starting control-plane, 5 s of about 10 s',
      step: 4,
      steps: 6,
      percent: 56,
      bytes: null,
      totalBytes: null,
    })
    now = 60_000
    creation.tell()
    expect(told.at(-1)?.text).toBe('Starting control-plane, 59 s of about 10 s')
    expect(told.map(({ percent }) => percent ?? 0)).toEqual(
      told.map(({ percent }) => percent ?? 0).sort((a, b) => a - b),
    )
    expect(told.at(-1)?.percent).toBeLessThan(90)
    expect(creation.took()).toEqual({ 'Ensuring node image': 0, 'Preparing nodes': 1500 })
  })
})

describe('the state of a cluster', () => {
  it('is written whole, for us alone, and read back; a damaged one is none', async () => {
    const record = {
      name: 'devstack',
      phase: 'made',
      since: 1,
      image: 'i',
      configHash: 'h',
      nodes: [{ id: 'a', name: 'n' }],
      network: null,
    } as const
    await writeRecord(folder.places, record)
    expect(await readRecord(folder.places)).toMatchObject(record)
    expect(statSync(folder.places.record).mode & 0o777).toBe(0o600)
    writeFileSync(folder.places.record, '{"schema":"devstack.kind/2"}')
    expect(await readRecord(folder.places)).toBeNull()
    writeFileSync(folder.places.record, '{')
    expect(await readRecord(folder.places)).toBeNull()
  })

  it('is changed by one at a time; who waits is told once, and goes on though the folder went away', async () => {
    const order: string[] = []
    let told = 0
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const begun = Promise.withResolvers<void>()
    const first = withLock(
      folder.places,
      () => undefined,
      signal,
      async () => {
        order.push('first begins')
        begun.resolve()
        await held
        rmSync(folder.places.folder, { recursive: true })
        order.push('first ends')
      },
    )
    await begun.promise
    const second = withLock(
      folder.places,
      () => {
        told++
        release()
      },
      signal,
      () => {
        order.push('second')
        return Promise.resolve(existsSync(folder.places.folder))
      },
    )
    await first
    expect(await second).toBe(true)
    expect(order).toEqual(['first begins', 'first ends', 'second'])
    expect(told).toBe(1)
  })

  it('is not waited for after an abort', async () => {
    const controller = new AbortController()
    mkdirSync(folder.places.lock)
    const waiting = withLock(
      folder.places,
      () => controller.abort(new Error('enough')),
      controller.signal,
      () => Promise.resolve(),
    )
    await expect(waiting).rejects.toThrow('enough')
  })
})
