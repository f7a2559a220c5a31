import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CheckDefinition, DoctorOptions } from '../../../src/host/doctor/check.js'
import type { DoctorReport } from '../../../src/host/doctor/doctor.js'
import { allChecks, runDoctor } from '../../../src/host/doctor/doctor.js'
import { judgeDisk } from '../../../src/host/doctor/engine-checks.js'
import { formatDoctor, formatPaste, strip } from '../../../src/host/doctor/format.js'
import { judgeMemory, judgeWatches } from '../../../src/host/doctor/machine-checks.js'
import { judgeCertificates, judgeProxy } from '../../../src/host/doctor/network-checks.js'
import { parts, World } from '../bootstrap/world.js'

function examine(
  env: Record<string, string>,
  options: Partial<DoctorOptions> = {},
  checks?: readonly CheckDefinition[],
) {
  const signal = new AbortController().signal
  return runDoctor(
    {
      env,
      signal,
      version: '0.1.0',
      ports: [],
      stackIsUp: false,
      probeRegistry: null,
      probeImage: null,
      ...options,
    },
    checks,
  )
}

const find = (report: DoctorReport, name: string) => report.checks.find((check) => check.name === name)

describe('the engine', () => {
  it('not installed', async () => {
    using world = new World()
    const report = await examine(world.env)
    expect(find(report, 'engine')).toMatchObject({
      status: 'fail',
      message: 'Docker Engine is not installed',
      fix: { commands: [['devstack', 'bootstrap']] },
    })
    expect(find(report, 'compose')?.message).toBe('Docker Compose is not installed')
    expect(find(report, 'container')).toBeUndefined()
  })

  it('installed, but not running', async () => {
    using world = new World(parts)
    expect(find(await examine(world.env), 'engine')).toMatchObject({
      status: 'fail',
      message: 'Docker Engine is installed, but does not run',
      details: [`${world.socket}: there is no such socket`],
    })
  })

  it('running, but too old', async () => {
    using world = new World({ ...parts, engine: '24.0.7', compose: '2.20.3' })
    await world.startEngine()
    const report = await examine(world.env)
    expect(find(report, 'engine')).toMatchObject({
      status: 'fail',
      message: 'Docker Engine 24.0.7 is older than 25.0',
    })
    expect(find(report, 'compose')?.message).toMatch(/^Docker Compose 2\.20\.3 \(.*\) is older than 2\.24$/)
    expect(report.summary.fail).toBe(2)
  })

  it('on another machine', async () => {
    using world = new World(parts)
    const report = await examine({ ...world.env, DOCKER_HOST: 'tcp://10.1.2.3:2375' }, { blockingOnly: true })
    expect(find(report, 'engine')?.message).toBe('the engine at tcp://10.1.2.3:2375 is on another machine')
  })
})

describe('a check', () => {
  it('that crashes is shown and stops nothing', async () => {
    const checks: readonly CheckDefinition[] = [
      { category: 'machine', name: 'bad', look: () => Promise.reject(new TypeError('no such thing')) },
      { category: 'machine', name: 'good', look: () => Promise.resolve({ status: 'pass', message: 'fine' }) },
      { category: 'machine', name: 'idle', look: () => Promise.resolve(null) },
    ]
    const told: string[] = []
    const report = await examine({}, { onCheck: ({ name }) => told.push(name) }, checks)
    expect(report.checks.map(({ name, status, message }) => [name, status, message])).toEqual([
      ['bad', 'warning', 'could not be judged: no such thing'],
      ['good', 'pass', 'fine'],
    ])
    expect(report).toMatchObject({ schema: 'devstack.doctor/1', summary: { pass: 1, warning: 1, fail: 0 } })
    expect(told).toEqual(['bad', 'good'])
  })

  it('has a name of its own, and up runs only the blocking ones', async () => {
    const names = allChecks.map(({ category, name }) => `${category}/${name}`)
    expect(new Set(names).size).toBe(names.length)
    using world = new World(parts)
    const report = await examine(world.env, { blockingOnly: true })
    expect(report.checks.map(({ name }) => name)).toEqual(['node', 'client', 'engine', 'compose', 'buildx'])
  })
})

describe('a cluster on this machine', () => {
  it('needs its tools', async () => {
    using world = new World(parts)
    expect(find(await examine(world.env, { cluster: true }), 'cluster tools')).toMatchObject({
      status: 'fail',
      message: 'kind is not installed; kubectl is not installed',
      fix: { commands: [['devstack', 'bootstrap', '--engine', 'kind']] },
    })
  })

  it('is not asked for by a stack in Compose', async () => {
    using world = new World(parts)
    expect(find(await examine(world.env), 'cluster tools')).toBeUndefined()
  })
})

describe('ports and images', () => {
  it('a taken port names its owner, and is not judged while our own stack is up', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const ports = [{ service: 'postgres', hostIp: '127.0.0.1', port }]
    using world = new World(parts)
    const taken = find(await examine(world.env, { ports }), 'published ports')
    expect(taken?.status).toBe('fail')
    expect(taken?.message).toMatch(
      new RegExp(`^port ${String(port)} \\(postgres\\) is taken by .+ \\(pid ${String(process.pid)}\\)$`),
    )
    expect(find(await examine(world.env, { ports, stackIsUp: true }), 'published ports')?.status).toBe('pass')
    await new Promise((resolve) => server.close(resolve))
    expect(find(await examine(world.env, { ports }), 'published ports')?.message).toBe(
      `free: ${String(port)}`,
    )
  })

  it('a registry that does not answer means local images, which need a tool', async () => {
    using world = new World(parts)
    await world.bootstrap()
    const probeRegistry = () =>
      Promise.resolve({ host: 'registry.test', answers: false, why: 'no answer in 4 s' })
    const report = await examine(world.env, { probeRegistry })
    expect(find(report, 'registry')).toMatchObject({ status: 'warning', details: ['no answer in 4 s'] })
    expect(find(report, 'registry')?.message).toContain('Elasticsearch is the reduced build')
    expect(find(report, 'image tools')).toMatchObject({
      status: 'fail',
      fix: { commands: [['devstack', 'bootstrap']] },
    })
  })
})

describe('judged by figures', () => {
  const gib = 1024 ** 3

  it.each([
    [judgeMemory(2 * gib, gib), 'warning'],
    [judgeMemory(16 * gib, gib), 'warning'],
    [judgeMemory(16 * gib, 8 * gib), 'pass'],
    [judgeMemory(16 * gib, null), 'pass'],
    [judgeWatches(8192, 128, false), 'warning'],
    [judgeWatches(524_288, 128, false), 'pass'],
    [judgeWatches(524_288, 128, true), 'warning'],
    [judgeWatches(524_288, 512, true), 'pass'],
    [judgeDisk('/var/lib/docker', gib / 2), 'fail'],
    [judgeDisk('/var/lib/docker', 3 * gib), 'warning'],
    [judgeDisk('/var/lib/docker', 30 * gib), 'pass'],
    [judgeProxy({}, {}), 'pass'],
    [judgeProxy({ HTTPS_PROXY: 'http://p:1' }, { HttpProxy: 'http://p:1' }), 'warning'],
    [judgeProxy({ https_proxy: 'http://p:1', no_proxy: 'localhost,127.0.0.1' }, {}), 'warning'],
    [
      judgeProxy(
        { https_proxy: 'http://p:1', no_proxy: 'localhost,127.0.0.1' },
        { HttpsProxy: 'http://p:1' },
      ),
      'pass',
    ],
  ])('%#: $status', (finding, status) => {
    expect(finding.status).toBe(status)
    // What is not fine says what to try.
    expect(finding.fix?.text.length ?? 0).toSatisfy((length: number) =>
      status === 'pass' ? length === 0 : length > 10,
    )
  })

  it('a certificate file that is missing, or holds no certificate', async () => {
    using world = new World()
    const empty = join(world.folder, 'empty.pem')
    const good = join(world.folder, 'good.pem')
    writeFileSync(empty, 'nothing to see in this file')
    writeFileSync(good, '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n')
    expect((await judgeCertificates({})).status).toBe('pass')
    expect((await judgeCertificates({ PIP_CERT: good, SSL_CERT_FILE: good })).message).toContain(good)
    const wrong = await judgeCertificates({
      PIP_CERT: empty,
      SSL_CERT_FILE: '/nowhere.pem',
      NODE_EXTRA_CA_CERTS: good,
    })
    expect(wrong).toMatchObject({
      status: 'fail',
      details: ['SSL_CERT_FILE=/nowhere.pem: ENOENT', `PIP_CERT=${empty}: no certificate in it`],
    })
  })
})

describe('printed', () => {
  const report: DoctorReport = {
    schema: 'devstack.doctor/1',
    version: '0.1.0',
    checks: [
      { category: 'machine', name: 'memory', status: 'pass', message: '23.5 GiB of memory' },
      {
        category: 'engine',
        name: 'engine',
        status: 'fail',
        message: 'Docker Engine is not installed',
        fix: { text: 'devstack brings it', commands: [['devstack', 'bootstrap']] },
        details: ['/home/ada/run/docker.sock: there is no such socket'],
      },
    ],
    summary: { pass: 1, warning: 0, fail: 1 },
  }

  it('terse: only what is wrong, and how to mend it', () => {
    expect(formatDoctor(report)).toMatchInlineSnapshot(`
      "✗ engine: Docker Engine is not installed
          /home/ada/run/docker.sock: there is no such socket
        try: devstack brings it
          devstack bootstrap
      1 passed, 0 to look at, 1 failed"
    `)
    expect(formatDoctor(report, { all: true })).toContain('✓ machine: 23.5 GiB of memory')
  })

  it('to paste: everything, without names', () => {
    const paste = formatPaste(report, { home: '/home/ada', user: 'ada', host: 'analytical' })
    expect(paste).toContain('~/run/docker.sock')
    expect(paste).not.toContain('ada')
    expect(paste).toContain('pass    machine/memory: 23.5 GiB of memory')
  })

  it.each([
    ['/home/ada/x on analytical by ada', '~/x on HOST by USER'],
    ['adamant, analytical.local', 'adamant, HOST.local'],
    ['http://ada:geheim@proxy.test:3128/', 'http://***@proxy.test:3128/'],
    ['NPM_TOKEN=abc123 and Authorization: Bearer xyz', 'NPM_TOKEN=*** and Authorization: ***'],
    ['ghp_0123456789abcdefghij', '***'],
    ['key 0123456789abcdef0123456789abcdef0', 'key ***'],
    ['sha256:0123456789abcdef0123456789abcdef0123', 'sha256:0123456789abcdef0123456789abcdef0123'],
    ['docker root dir', 'docker root dir'],
  ])('strips %s', (text, expected) => {
    expect(strip(text, { home: '/home/ada', user: 'ada', host: 'analytical' })).toBe(expected)
  })
})
