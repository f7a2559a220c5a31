import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { DevstackError } from '../../../src/core/error.js'
import { debian12, parts, World } from './world.js'

const failure = (promise: Promise<unknown>): Promise<DevstackError> =>
  promise.then(
    () => {
      throw new Error('it should have failed')
    },
    (error: unknown) => error as DevstackError,
  )

const privateFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('devstack-apt-'))

describe('a bare Debian 12', () => {
  it('gets its engine from a newer release by a private apt configuration, simulated first, and starts it', async () => {
    using world = new World()
    const before = privateFolders()
    const result = await world.bootstrap({ yes: true })
    expect(world.log()).toEqual([
      'apt-get -c PRIVATE update -o ...',
      'apt-get -s -c PRIVATE install -y --no-install-recommends --no-remove -o ... -- docker.io/trixie iptables docker-cli/trixie docker-compose/trixie docker-buildx/trixie',
      'apt-get -c PRIVATE install -y --no-install-recommends --no-remove -o ... -- docker.io/trixie iptables docker-cli/trixie docker-compose/trixie docker-buildx/trixie',
      'dockerd ',
    ])
    expect(result.steps.map(({ step, done }) => [step, done])).toEqual([
      ['packages', true],
      ['engine', true],
      ['access', false],
    ])
    expect(result).toMatchObject({ engineVersion: parts.engine, needsGroup: false })
    expect(privateFolders()).toEqual(before)
  })

  it('does nothing at the second run', async () => {
    using world = new World()
    await world.bootstrap({ yes: true })
    world.log()
    world.events.length = 0
    const again = await world.bootstrap()
    expect(again.steps.every(({ done }) => !done)).toBe(true)
    expect(world.log()).toEqual([])
    expect(world.events.map(({ type }) => type)).toEqual(['stepSatisfied', 'stepSatisfied', 'stepSatisfied'])
  })

  it('asks once, naming what it installs, and installs nothing after a no', async () => {
    using world = new World()
    const error = await failure(world.bootstrap({ answer: false }))
    expect(error).toMatchObject({ code: 'CONSENT_NEEDED', why: 'you said no' })
    expect(world.questions).toEqual([
      'Docker Engine is not installed; the docker client is not installed; Docker Compose is not installed; buildx is not installed: ' +
        'devstack installs docker.io, iptables, docker-cli, docker-compose, docker-buildx from Debian trixie: go on?',
    ])
    expect(world.log()).toEqual([])
    expect((await world.bootstrap({ answer: true })).engineVersion).toBe(parts.engine)
  })

  it('never waits where there is nobody to ask', async () => {
    using world = new World()
    expect(await failure(world.bootstrap())).toMatchObject({
      code: 'CONSENT_NEEDED',
      why: 'there is no terminal to ask on',
    })
    expect(world.log()).toEqual([])
  })

  it('brings only what lacks: an engine runs, Compose is too old', async () => {
    using world = new World({ ...parts, compose: '1.29.2' })
    await world.bootstrap({ yes: true })
    expect(world.log().filter((line) => line.includes('-s'))).toEqual([
      'apt-get -s -c PRIVATE install -y --no-install-recommends --no-remove -o ... -- docker-compose/trixie',
    ])
  })

  it.each([
    [
      'would remove',
      'Remv podman-docker [4.3.1]\nInst docker.io (26.1.5 Debian:13.1/stable [amd64])',
      'it would remove podman-docker',
    ],
    [
      'would downgrade',
      'The following packages will be DOWNGRADED:\n  runc containerd\n0 upgraded',
      'it would downgrade runc, containerd',
    ],
    [
      'would mix releases',
      'Inst libc6 [2.36-9] (2.41-12 Debian:13.1/stable [amd64])',
      'it would upgrade libc6 to Debian 13',
    ],
  ])('refuses what %s', async (_name, simulation, why) => {
    using world = new World()
    world.simulate(simulation)
    const before = privateFolders()
    expect((await failure(world.bootstrap({ yes: true }))).why).toContain(why)
    expect(world.log().some((line) => line.includes(' install ') && !line.includes(' -s '))).toBe(false)
    expect(privateFolders()).toEqual(before)
  })

  it('never replaces a vendor’s engine', async () => {
    using world = new World({ ...parts, engine: '24.0.7' })
    const error = await failure(world.bootstrap({ yes: true }, { FAKE_INSTALLED: 'docker-ce docker-ce-cli' }))
    expect(error).toMatchObject({ code: 'ENGINE_TOO_OLD' })
    expect(error.message).toMatch(/^Docker Engine 24\.0\.7 .*is older than 25\.0$/)
    expect(error.why).toContain('docker-ce, docker-ce-cli of the engine’s vendor'.replace('’', "'"))
    expect(world.log()).toEqual([])
  })

  it('says that an old client of somebody else’s comes first on the PATH, since no package would change that', async () => {
    using world = new World({ ...parts, client: '19.03.1' })
    const error = await failure(world.bootstrap({ yes: true }))
    expect(error.why).toContain('comes first on the PATH')
    expect(error.hint).toContain(join(world.folder, 'bin/docker'))
  })

  it('says so where apt has no mirror for its release', async () => {
    using world = new World()
    expect(await failure(world.bootstrap({ yes: true }, { FAKE_APT_TARGETS: '' }))).toMatchObject({
      message: 'apt has no Debian mirror for bookworm here',
    })
  })

  it('needs root or sudo', async () => {
    using world = new World()
    const machine = { ...debian12, isRoot: false, user: 'ada' }
    expect(await failure(world.bootstrap({ yes: true, machine }))).toMatchObject({
      code: 'CONSENT_NEEDED',
      why: 'this needs root, and there is no sudo',
    })
  })
})

describe('an engine that is installed', () => {
  it('is started as a daemon that outlives us, its log in the state folder', async () => {
    using world = new World(parts)
    const result = await world.bootstrap()
    expect(result.engineVersion).toBe(parts.engine)
    expect(world.log()).toEqual(['dockerd '])
    const pid = readFileSync(join(world.folder, 'run/docker.pid'), 'utf8')
    const [, , , , session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/\(.*\) /, '')
      .split(' ')
    expect(session).toBe(pid)
    expect(existsSync(join(world.folder, 'devstack/dockerd.log'))).toBe(true)
  })

  it('is started over a pid file that now names another process', async () => {
    using world = new World(parts)
    writeFileSync(join(world.folder, 'run/docker.pid'), String(process.pid))
    mkdirSync(join(world.folder, 'run/docker/containerd'), { recursive: true })
    const containerd = join(world.folder, 'run/docker/containerd/containerd.pid')
    writeFileSync(containerd, '999999')
    expect((await world.bootstrap()).engineVersion).toBe(parts.engine)
    expect(existsSync(containerd)).toBe(false)
  })

  it('that ends at once is told with its last lines', async () => {
    using world = new World(parts)
    const error = await failure(world.bootstrap({}, { FAKE_DOCKERD: 'fail' }))
    expect(error.code).toBe('ENGINE_NOT_RUNNING')
    expect(error.why).toBe('dockerd ended with 1\nfailed to start daemon: no space left on device')
  })

  it('elsewhere is not replaced by one here', async () => {
    using world = new World({})
    const error = await failure(world.bootstrap({ yes: true }, { FAKE_CONTEXT: 'desktop' }))
    expect(error).toMatchObject({ code: 'ENGINE_NOT_RUNNING' })
    const named = await failure(world.bootstrap({ yes: true }, { DOCKER_HOST: 'unix:///nowhere.sock' }))
    expect(named.message).toBe('the engine that DOCKER_HOST names does not answer')
    expect(world.log()).toEqual([])
  })

  it.each(['tcp://10.1.2.3:2375', 'ssh://ada@build'])('on another machine (%s) is refused', async (host) => {
    using world = new World(parts)
    expect(await failure(world.bootstrap({}, { DOCKER_HOST: host }))).toMatchObject({
      code: 'MACHINE_UNSUPPORTED',
      hint: 'unset DOCKER_HOST',
    })
  })
})

describe('other machines', () => {
  const ubuntu = {
    ...debian12,
    os: { ID: 'ubuntu', ID_LIKE: 'debian', VERSION_ID: '24.04', VERSION_CODENAME: 'noble' },
  }

  it('Ubuntu has packages of its own', async () => {
    using world = new World()
    await world.bootstrap({ yes: true, machine: ubuntu })
    expect(world.log()).toContain(
      'apt-get install -y --no-install-recommends --no-remove -o ... -- docker.io iptables docker-compose-v2 docker-buildx',
    )
  })

  it('brings what makes a Debian from nothing only where it is asked for', async () => {
    using world = new World(parts)
    await world.bootstrap({ yes: true, machine: ubuntu })
    expect(world.log().join()).not.toContain('mmdebstrap')
    const result = await world.bootstrap({ yes: true, machine: ubuntu, needsLocalImages: true })
    expect(result.steps.at(-1)).toMatchObject({ step: 'image tools', done: true })
    expect(world.log().at(-1)).toMatch(/^apt-get install .* -- mmdebstrap debian-archive-keyring$/)
  })

  it.each([
    [{ ...debian12, platform: 'darwin' as const }, /macOS/, /colima/],
    [{ ...debian12, platform: 'win32' as const }, /Windows/, /WSL 2/],
    [
      { ...debian12, os: { ID: 'fedora', PRETTY_NAME: 'Fedora 44' } },
      /Fedora 44 is neither/,
      /package manager/,
    ],
    [{ ...debian12, os: { ID: 'debian', VERSION_ID: '11', PRETTY_NAME: 'Debian 11' } }, /too old/, /upgrade/],
  ])('say exactly what to install (%#)', async (machine, cause, hint) => {
    using world = new World()
    const error = await failure(world.bootstrap({ yes: true, machine }))
    expect(error.code).toBe('ENGINE_NOT_INSTALLED')
    expect(error.why).toMatch(cause)
    expect(error.hint).toMatch(hint)
    expect(world.log()).toEqual([])
  })
})
