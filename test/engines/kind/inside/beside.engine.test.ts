import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInside } from '../../../../src/engines/kind/inside/inside.js'
import type { Inside } from '../../../../src/engines/kind/inside/inside.js'
import type { InsideTarget } from '../../../../src/engines/kind/inside/target.js'
import type { FileChange, InsideRequest } from '../../../../src/orchestrator/ports.js'
import { engineIsThere } from '../../../contract/compose-there.js'
import { eventually } from '../../../contract/eventually.js'
import { BARE } from './bare-image.js'
import { baseImage } from './base-image.js'
import { docker } from './docker-program.js'
import { FakeKube } from './fake-kube.js'
import type { FakeNode } from './fake-kube.js'
import { AGENT, processOf } from './local-agent.js'

const there = await engineIsThere()

/** Containers of the Docker engine in the place of a pod's: an agent shares the processes of the other one, as in a pod. */
class DockerNode implements FakeNode {
  readonly #names = new Map<string, string>()

  constructor(
    private readonly image: string,
    target: string,
  ) {
    this.#names.set('api', target)
  }

  async addAgent({
    name,
    command,
    targetContainerName,
    securityContext,
  }: Parameters<FakeNode['addAgent']>[0]) {
    const target = this.#names.get(targetContainerName) ?? ''
    const { add } = securityContext['capabilities'] as { readonly add: readonly string[] }
    const [entrypoint = '', ...rest] = command
    const id = await docker(
      'run',
      '--detach',
      '--rm',
      '--user=0:0',
      '--network=none',
      `--pid=container:${target}`,
      ...add.map((capability) => `--cap-add=${capability}`),
      `--entrypoint=${entrypoint}`,
      this.image,
      ...rest,
    )
    this.#names.set(name, id)
  }

  exec({ container, argv, stdin }: Parameters<FakeNode['exec']>[0]) {
    const options = ['exec', ...(stdin ? ['--interactive'] : []), this.#names.get(container) ?? '', ...argv]
    return Promise.resolve(processOf(spawn('docker', options)))
  }
}

describe.skipIf(!there)('inside of a container without a shell, as a user that is not root', () => {
  let folder: string
  let base: string
  let container: string
  let kube: FakeKube
  let inside: Inside
  const target: InsideTarget = {
    pod: 'api-1',
    uid: 'uid-1',
    container: 'api',
    restartCount: 0,
    service: 'api',
  }
  const signal = (): AbortSignal => AbortSignal.timeout(60_000)
  const request = (argv: readonly string[], more: Partial<InsideRequest> = {}): InsideRequest => ({
    argv,
    user: null,
    workdir: null,
    env: {},
    ...more,
  })
  const write = async (name: string, text: string, mode = 0o644): Promise<FileChange> => {
    const source = join(folder, 'source')
    await writeFile(source, text)
    return { type: 'write', source, target: name, mode }
  }
  const runIn = async (argv: readonly string[], more: Partial<InsideRequest> = {}) => {
    const lines: string[] = []
    const exitCode = await inside.run(target, request(argv, more), (line) => lines.push(line), signal())
    return { exitCode, lines }
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'devstack-beside-'))
    base = await baseImage()
    await writeFile(join(folder, 'Dockerfile'), BARE.replace('IMAGE', base))
    await docker('build', '--quiet', '--tag', 'ds-in-bare', folder)
    container = await docker('run', '--detach', '--rm', 'ds-in-bare')
    kube = new FakeKube(new DockerNode(base, container))
    inside = createInside({
      kube: kube.kube,
      image: { reference: base, pullPolicy: 'Never' },
      agentFolder: AGENT,
    })
  })
  afterAll(async () => {
    inside.close()
    await docker('rm', '--force', container)
    await docker('image', 'rm', '--force', 'ds-in-bare')
    await rm(folder, { recursive: true, force: true })
  })
  const cat = async (path: string): Promise<string> =>
    await docker('exec', '--user', '0', container, '/usr/bin/cat', path)

  test('files come, with the container’s own user as their owner, and go', async () => {
    const { failed, bytes } = await inside.deliver(
      target,
      [await write('/app/deep/new', 'new', 0o600)],
      [],
      signal(),
    )
    expect([failed, bytes]).toEqual([[], 3])
    // Only its owner may read it.
    expect(await docker('exec', container, '/usr/bin/cat', '/app/deep/new')).toBe('new')
    await inside.deliver(target, [{ type: 'delete', target: '/app/file' }], [], signal())
    await expect(cat('/app/file')).rejects.toThrow('No such file')
    expect(kube.added).toHaveLength(1)
  })

  test('a process has the container’s user, folder and variables', async () => {
    expect((await runIn(['/usr/bin/id'])).lines).toEqual(['uid=1234(app) gid=2345 groups=2345'])
    expect((await runIn(['pwd'])).lines).toEqual(['/app'])
    const { lines } = await runIn(['env'], { env: { ONE: 'a b=$c' } })
    expect(lines).toEqual(expect.arrayContaining(['GREETING=hello', 'ONE=a b=$c', 'HOME=/app']))
  })

  test('or those that it asks for', async () => {
    expect((await runIn(['id'], { user: 'other' })).lines).toEqual([
      'uid=77(other) gid=78 groups=78,99(extra)',
    ])
    expect((await runIn(['id'], { user: '5:6' })).lines).toEqual(['uid=5 gid=6 groups=6'])
    expect((await runIn(['id'], { user: '0' })).lines).toEqual(['uid=0 gid=0 groups=0'])
    expect((await runIn(['pwd'], { workdir: '/usr/bin', user: 'other' })).lines).toEqual(['/usr/bin'])
    expect((await runIn(['env'], { user: 'other' })).lines).toContain('HOME=/home/other')
  })

  test('a process may open its own output by name, as nginx opens /dev/stdout', async () => {
    for (const user of [null, 'other', '0'])
      expect(await runIn(['tee', '/dev/stdout', '/dev/stderr'], { user })).toEqual({ exitCode: 0, lines: [] })
  })

  test('root has no more rights than the container’s own root', async () => {
    const { lines } = await runIn(['cat', '/proc/self/status'], { user: '0' })
    const own = await docker('exec', '--user', '0', container, '/usr/bin/cat', '/proc/self/status')
    const rights = (text: readonly string[]) => text.filter((line) => /^Cap|^NoNewPrivs|^Umask/.test(line))
    expect(rights(lines)).toEqual(rights(own.split('\n')))
  })

  test.each([
    ['no such program', request(['there-is-none']), 'executable file not found in $PATH'],
    [
      'no such folder',
      request(['id'], { workdir: '/none' }),
      'cannot change to its folder /none: No such file or directory',
    ],
    ['no such user', request(['id'], { user: 'nobody' }), 'it has no user nobody'],
    ['no program', request(['/etc/passwd']), 'Permission denied'],
  ])('%s is refused by name', async (_, wanted, cause) => {
    const refusal = {
      code: 'EXEC_FAILED',
      message: `${wanted.argv[0] ?? ''} cannot be started in api`,
      why: cause,
    }
    await expect(inside.open(target, wanted, signal())).rejects.toMatchObject(refusal)
    await expect(inside.run(target, wanted, () => undefined, signal())).rejects.toMatchObject(refusal)
  })

  test('a process with pipes answers line by line, and ends when they are closed', async () => {
    const process = await inside.open(target, request(['cat']), signal())
    const lines = process.lines[Symbol.asyncIterator]()
    process.write('{"one":"ü"}')
    expect(await lines.next()).toEqual({ done: false, value: '{"one":"ü"}' })
    process.close()
    expect(await process.ended).toEqual({ exitCode: 0, stderr: '' })
  })

  test('an aborted command ends with the reason, and nothing of it is left', async () => {
    const stop = new AbortController()
    const running = inside.run(target, request(['sleep', '12345']), () => undefined, stop.signal)
    const processes = async () => await docker('top', await agentOf(), '-eo', 'pid,args')
    await eventually(async () => expect(await processes()).toContain('sleep 12345'))
    stop.abort(new Error('not wanted any more'))
    await expect(running).rejects.toThrow('not wanted any more')
    expect(await processes()).not.toContain('12345')
  })

  test('the connection breaks: the next delivery has a new one, and its agent the same container', async () => {
    await docker(
      'exec',
      '--user',
      '0',
      await agentOf(),
      'perl',
      '-e',
      'kill "KILL", grep { open my $f, "<", "/proc/$_/cmdline"; index(<$f>, "serve") >= 0 } map { m{/proc/(\\d+)} } glob "/proc/[0-9]*"',
    ).catch(() => undefined)
    const { failed } = await inside.deliver(target, [await write('/app/after', 'x')], [], signal())
    expect(failed).toEqual([])
    expect(await cat('/app/after')).toBe('x')
    expect(kube.added).toHaveLength(1)
  })

  const agentOf = async (): Promise<string> => {
    const ids = await docker('ps', '--quiet', '--filter', `ancestor=${base}`)
    for (const id of ids.split('\n')) {
      const mode = await docker('inspect', '--format', '{{.HostConfig.PidMode}}', id)
      if (mode === `container:${container}`) return id
    }
    throw new Error('no agent')
  }
})
