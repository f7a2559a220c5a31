import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DevstackError } from '../../../../src/core/error.js'
import { createInside } from '../../../../src/engines/kind/inside/inside.js'
import type { Inside } from '../../../../src/engines/kind/inside/inside.js'
import type { InsideTarget } from '../../../../src/engines/kind/inside/target.js'
import type { Kube } from '../../../../src/engines/kind/kube-ports.js'
import type { FileChange, InsideRequest } from '../../../../src/orchestrator/ports.js'
import { FakeKube, RUNNING } from './fake-kube.js'
import { AGENT, cannotRunAgent, runHere } from './local-agent.js'
import { deafOnceItRuns, LocalNode, silentProcess } from './local-node.js'

const API: InsideTarget = { pod: 'api-1', uid: 'uid-1', container: 'api', restartCount: 0, service: 'api' }
const IMAGE = { reference: 'devstack/base:local', pullPolicy: 'Never' } as const

let folder: string
let node: LocalNode
let kube: FakeKube
let inside: Inside

const signal = (): AbortSignal => AbortSignal.timeout(20_000)
const open = (): Inside => createInside({ kube: kube.kube, image: IMAGE, agentFolder: AGENT })
const write = (target: string, text: string): FileChange => {
  const source = join(folder, `source${target.replaceAll('/', '-')}`)
  writeFileSync(source, text)
  return { type: 'write', source, target, mode: 0o644 }
}
const deliver = (changes: readonly FileChange[], target = API) =>
  inside.deliver(target, changes, [], signal())
const read = (path: string): string => readFileSync(join(node.root, path), 'utf8')

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-inside-'))
  node = new LocalNode(folder)
  kube = new FakeKube(node)
  inside = open()
})
afterEach(async () => {
  inside.close()
  vi.useRealTimers()
  await rm(folder, { recursive: true, force: true })
})

describe.skipIf(cannotRunAgent !== null)('an agent beside a container', () => {
  test('is added with the first delivery, and serves the next ones over one connection', async () => {
    await deliver([write('/app/a', '1')])
    await deliver([write('/app/a', '2')])
    expect(read('/app/a')).toBe('2')
    expect(kube.execs).toHaveLength(1)
    const [{ command, ...agent }] = kube.added as unknown as readonly [
      { readonly command: readonly string[] },
    ]
    expect(command.slice(0, 2)).toEqual(['perl', '-e'])
    expect(agent).toEqual({
      name: 'devstack-agent-1',
      image: 'devstack/base:local',
      imagePullPolicy: 'Never',
      targetContainerName: 'api',
      securityContext: {
        runAsUser: 0,
        runAsGroup: 0,
        runAsNonRoot: false,
        readOnlyRootFilesystem: false,
        capabilities: { add: ['SYS_PTRACE', 'SYS_CHROOT'] },
      },
    })
  })

  test('of an earlier session is taken over', async () => {
    await inside.prepare(API, signal())
    inside.close()
    inside = open()
    await deliver([write('/app/a', '1')])
    expect(kube.added).toHaveLength(1)
  })

  test('may take a moment to run', async () => {
    let tries = 0
    kube.newState = () => ({ waiting: { reason: 'ContainerCreating' } })
    node.beforeExec = () => {
      tries++
      if (tries < 4) throw new DevstackError('EXEC_FAILED', 'refused', { cause: 'container not found' })
    }
    await deliver([write('/app/a', '1')])
    expect([tries, read('/app/a')]).toEqual([4, '1'])
  })

  test('is asked for before its container runs, once, and then served by', async () => {
    const running = kube.pod
    kube.pod = { ...running, status: { phase: 'Pending' } }
    await expect(deliver([write('/app/a', '1')])).rejects.toMatchObject({
      why: 'it has not been started yet',
    })
    inside.announce(kube.pod, ['api'])
    inside.announce(kube.pod, ['api'])
    await vi.waitFor(() => expect(kube.added).toHaveLength(1))
    const { ephemeralContainerStatuses = [] } = kube.pod.status ?? {}
    kube.pod = { ...kube.pod, status: { ...running.status, ephemeralContainerStatuses } }
    // Its container runs by now: it is too late, or has been done.
    inside.announce(kube.pod, ['api'])
    await deliver([write('/app/a', '1')])
    expect([read('/app/a'), kube.added.length]).toEqual(['1', 1])
  })

  test('that could not be started, as it was asked for too early, is followed by another one', async () => {
    kube.newState = (name) =>
      name === 'devstack-agent-1'
        ? { waiting: { reason: 'RunContainerError', message: 'no such process' } }
        : RUNNING
    node.beforeExec = () => {
      if (kube.added.length === 1)
        throw new DevstackError('EXEC_FAILED', 'refused', { cause: 'container not found' })
    }
    await deliver([write('/app/a', '1')])
    expect(kube.added.map(({ name }) => name)).toEqual(['devstack-agent-1', 'devstack-agent-2'])
  })

  test('a container that was restarted is another one: its files are the image’s again', async () => {
    await deliver([write('/app/a', '1')])
    kube.restart('api')
    inside.forget(API)
    await expect(deliver([write('/app/a', '2')])).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      message: 'the container of api is gone',
      why: 'it was restarted',
    })
    await deliver([write('/app/a', '3')], { ...API, restartCount: 1 })
    expect(kube.added.map(({ name }) => name)).toEqual(['devstack-agent-1', 'devstack-agent-2'])
  })

  test('two containers of a pod have one each', async () => {
    kube = new FakeKube(node, ['api', 'nginx'])
    inside = open()
    await Promise.all([
      deliver([write('/app/a', '1')]),
      deliver([write('/app/b', '2')], { ...API, container: 'nginx', service: 'nginx' }),
    ])
    expect(kube.added.map(({ name, targetContainerName }) => [name, targetContainerName])).toEqual([
      ['devstack-agent-1', 'api'],
      ['devstack-agent-2', 'nginx'],
    ])
  })

  test('gets another name where somebody else takes its own at the same moment', async () => {
    kube = new FakeKube(node, ['api', 'nginx'])
    inside = open()
    kube.beforeAdding = ({ name }) => {
      if (name === 'devstack-agent-1') kube.addElsewhere({ name, image: '', targetContainerName: 'nginx' })
    }
    await deliver([write('/app/a', '1')])
    expect(kube.added.map(({ name }) => name)).toEqual(['devstack-agent-2'])
  })

  test.each(['shareProcessNamespace', 'hostPID'])(
    'is told which process is the container’s: %s',
    async (name) => {
      kube = new FakeKube(node, ['api'], { [name]: true })
      inside = open()
      await inside.prepare(API, signal())
      expect(kube.execs[0]?.argv.at(-1)).toBe(`--id=${'0'.repeat(64)}`)
    },
  )

  test('keeps out of folders of the node’s machine', async () => {
    kube = new FakeKube(node, [], {
      containers: [{ name: 'api', image: '', volumeMounts: [{ name: 'own', mountPath: '/own/' }] }],
      volumes: [{ name: 'own', hostPath: { path: '/' } }],
    })
    kube.pod = { ...kube.pod, status: { containerStatuses: [status()] } }
    inside = open()
    const { failed } = await deliver([write('/own/file', 'x')])
    expect(failed.map(({ target }) => target)).toEqual(['/own/file'])
  })

  function status() {
    return { name: 'api', ready: true, restartCount: 0, image: '', imageID: '', state: RUNNING }
  }
})

describe.skipIf(cannotRunAgent !== null)('a connection that breaks', () => {
  test('in the middle of a batch: everything is sent again over a new one, with the same times', async () => {
    let streams = 0
    node.replace = (argv) => {
      if (!argv.includes('serve')) return null
      streams++
      const process = runHere(argv)
      if (streams > 1) return process
      // It dies as soon as the batch is on its way.
      process.stdout.once('data', () => process.stdin.once('drain', () => process.close()))
      process.stdout.once('data', () => setImmediate(() => process.close()))
      return process
    }
    const before = Date.now()
    const { failed, written } = await deliver(
      Array.from({ length: 50 }, (_, at) => write(`/app/f${String(at)}`, 'x'.repeat(9000))),
    )
    expect([failed, Object.keys(written).length, streams]).toEqual([[], 50, 2])
    expect(readdirSync(join(node.root, 'app'))).toHaveLength(50)
    // One that was counted twice would lie a second ahead.
    expect(statSync(join(node.root, 'app/f0')).mtimeMs).toBeLessThan(before + 1000)
  })

  test('while nothing is delivered: there is a new one before it is needed', async () => {
    await deliver([write('/app/a', '1')])
    node.processes[0]?.close()
    await vi.waitFor(() => expect(node.processes).toHaveLength(2))
    await deliver([write('/app/a', '2')])
    expect([read('/app/a'), node.processes.length]).toEqual(['2', 2])
  })

  test('without a word for long counts as broken', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let streams = 0
    node.replace = (argv) => (++streams === 1 ? deafOnceItRuns(runHere(argv)) : null)
    await inside.prepare(API, signal())
    const delivering = inside.deliver(API, [write('/app/a', '1')], [], new AbortController().signal)
    await vi.advanceTimersByTimeAsync(15_000)
    expect((await delivering).failed).toEqual([])
    expect([read('/app/a'), streams]).toEqual(['1', 2])
  })

  test('a cluster that takes everything and says nothing: the failure tells', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    node.replace = () => silentProcess()
    const delivering = inside.deliver(API, [write('/app/a', '1')], [], new AbortController().signal)
    const outcome = expect(delivering).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      why: 'the connection to its agent broke: the agent has not answered for 15 s',
    })
    await vi.waitFor(() => expect(node.processes).toHaveLength(1))
    await vi.advanceTimersByTimeAsync(15_000)
    await outcome
  })

  test('an abort in the middle is answered with its reason, and the next delivery is whole', async () => {
    await inside.prepare(API, signal())
    const stop = new AbortController()
    const large = join(folder, 'large')
    writeFileSync(large, Buffer.alloc(30_000_000, 'x'))
    const change: FileChange = { type: 'write', source: large, target: '/app/large', mode: 0o644 }
    const delivering = inside.deliver(API, [change], [], stop.signal)
    setImmediate(() => stop.abort(new Error('not wanted any more')))
    await expect(delivering).rejects.toThrow('not wanted any more')
    await deliver([change])
    expect(statSync(join(node.root, 'app/large')).size).toBe(30_000_000)
    expect(readdirSync(join(node.root, 'app'))).toEqual(['large'])
  })
})

describe.skipIf(cannotRunAgent !== null)('the gate', () => {
  const gate = join('.devstack', 'run')
  const runs = (line: string): void => {
    mkdirSync(join(node.root, 'proc', '1'), { recursive: true })
    writeFileSync(join(node.root, 'proc', '1', 'cmdline'), line)
  }
  beforeEach(() => mkdirSync(join(node.root, gate), { recursive: true }))

  /** What the gate's script does once the word is there. */
  const begins = async (): Promise<void> => {
    await vi.waitFor(() => expect(readdirSync(join(node.root, gate))).toContain('api.go'))
    for (const name of ['api.go', 'api.waiting']) rmSync(join(node.root, gate, name))
    runs('python\0')
  }

  test('of a program that waits is opened', async () => {
    runs('/bin/sh\0/.devstack/bin/gate\0api\0python\0')
    writeFileSync(join(node.root, gate, 'api.waiting'), '')
    const opening = inside.openGate(API, signal())
    await begins()
    expect(await opening).toBe('opened')
    expect(readdirSync(join(node.root, gate))).toEqual([])
  })

  test('that a program has not come to yet is opened once it has', async () => {
    runs('runc\0init\0')
    // As an earlier run of the container left it.
    writeFileSync(join(node.root, gate, 'api.waiting'), '')
    const opening = inside.openGate(API, signal())
    await vi.waitFor(() => expect(readdirSync(join(node.root, gate))).toContain('api.go'))
    runs('/bin/sh\0/.devstack/bin/gate\0api\0python\0')
    for (const name of ['api.go', 'api.waiting']) rmSync(join(node.root, gate, name))
    writeFileSync(join(node.root, gate, 'api.waiting'), '')
    await begins()
    expect(await opening).toBe('opened')
  })

  test('is not waited for where the program runs', async () => {
    runs('python\0')
    expect(await inside.openGate(API, signal())).toBe('none')
    expect(readdirSync(join(node.root, gate))).toEqual([])
  })
})

describe('where the cluster lets no agent in', () => {
  const refuse = (): void => {
    kube.beforeAdding = () => {
      throw new DevstackError('OPERATION_FAILED', 'refused', { cause: 'violates PodSecurity "restricted"' })
    }
  }

  test('the image’s own rm and tar do it, as the container’s user', async () => {
    refuse()
    mkdirSync(join(node.root, 'app'))
    writeFileSync(join(node.root, 'app/old'), '')
    node.inContainer = (argv) =>
      runHere(argv.map((word) => (word === '/' || word.startsWith('/app') ? join(node.root, word) : word)))
    const { bytes, failed } = await deliver([
      write('/app/deep/a', 'new'),
      { type: 'delete', target: '/app/old' },
      { type: 'link', target: '/app/l', to: 'deep' },
    ])
    expect([bytes, failed, read('/app/l/a'), readdirSync(join(node.root, 'app')).toSorted()]).toEqual([
      3,
      [],
      'new',
      ['deep', 'l'],
    ])
  })

  test('without tar its shell does it, and files that it cannot write are named', async () => {
    kube.newState = () => ({ waiting: { reason: 'ErrImageNeverPull', message: 'not present' } })
    node.beforeExec = () => {
      throw new DevstackError('EXEC_FAILED', 'refused', { cause: 'container not found' })
    }
    node.inContainer = (argv) => {
      if (argv[0] === 'tar') throw new DevstackError('EXEC_FAILED', 'refused', { cause: 'no tar' })
      return runHere(argv.map((word) => (word.startsWith('/app') ? join(node.root, word) : word)))
    }
    mkdirSync(join(node.root, 'app/folder'), { recursive: true })
    writeFileSync(join(node.root, 'app/folder/file'), '')
    const { written, failed } = await deliver([
      write('/app/deep/a', 'new'),
      write('/app/folder', 'x'),
      { type: 'link', target: '/app/l', to: 'deep' },
    ])
    expect(Object.keys(written)).toEqual(['/app/deep/a', '/app/l'])
    expect(failed.map(({ target }) => target)).toEqual(['/app/folder'])
    expect(read('/app/l/a')).toBe('new')
  })

  test('and the image has nothing: all that was tried is told', async () => {
    refuse()
    await expect(deliver([write('/app/a', 'x')])).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      why: 'agent: violates PodSecurity "restricted"\ntar: no such program\nsh: no such program',
      hint: 'a rebuild brings it level: devstack up --build api',
    })
  })

  test('commands run by themselves, but not as another user', async () => {
    refuse()
    node.inContainer = (argv) => runHere(argv)
    const lines: string[] = []
    const request: InsideRequest = {
      argv: ['sh', '-c', 'echo "$A $PWD"'],
      user: null,
      workdir: '/usr',
      env: { A: 'b c' },
    }
    expect(await inside.run(API, request, (line) => lines.push(line), signal())).toBe(0)
    expect(lines).toEqual(['b c /usr'])
    await expect(inside.open(API, { ...request, user: 'root' }, signal())).rejects.toMatchObject({
      code: 'EXEC_FAILED',
    })
  })

  test('the server does not answer: that is no reason to try something else', async () => {
    const gone = new DevstackError('ENGINE_GONE', 'the cluster does not answer')
    const broken: Kube = { ...kube.kube, get: () => Promise.reject(gone) }
    inside = createInside({ kube: broken, image: IMAGE, agentFolder: AGENT })
    await expect(deliver([write('/app/a', 'x')])).rejects.toBe(gone)
  })
})

describe.skipIf(cannotRunAgent !== null)('processes', () => {
  const request = (argv: readonly string[], more: Partial<InsideRequest> = {}): InsideRequest => ({
    argv,
    user: null,
    workdir: null,
    env: {},
    ...more,
  })

  test('what a process says on stderr is kept, the end of it, with its exit code', async () => {
    const script = 'seq 1 5000 >&2; echo out; read line; echo "got $line"; exit 7'
    const process = await inside.open(API, request(['sh', '-c', script]), signal())
    const lines: string[] = []
    process.write('word')
    for await (const line of process.lines) lines.push(line)
    const { exitCode, stderr } = await process.ended
    expect([lines, exitCode]).toEqual([['out', 'got word'], 7])
    expect(stderr.length).toBeLessThanOrEqual(4096)
    expect(stderr.endsWith('4999\n5000\n')).toBe(true)
  })

  test('a command runs to its end: its lines, clean, and its exit code', async () => {
    const lines: string[] = []
    const script = String.raw`printf '\033[31m%s\033[0m\n' "$PWD"; echo "$A" >&2; exit 3`
    const exitCode = await inside.run(
      API,
      request(['sh', '-c', script], { workdir: '/usr', env: { A: 'x y' } }),
      (line) => lines.push(line),
      signal(),
    )
    expect([exitCode, lines.toSorted()]).toEqual([3, ['/usr', 'x y']])
  })

  test('one that a signal ended has the code that shells give it', async () => {
    expect(await inside.run(API, request(['sh', '-c', 'kill -KILL $$']), () => undefined, signal())).toBe(137)
  })

  test('an aborted command ends with all that it started, also what does not listen', async () => {
    const stop = new AbortController()
    const said: string[] = []
    const script = `trap '' TERM; echo begun; sleep 11111 & sleep 22222`
    const running = inside.run(
      API,
      request(['sh', '-c', script]),
      (line) => {
        said.push(line)
        stop.abort(new Error('not wanted any more'))
      },
      stop.signal,
    )
    await expect(running).rejects.toThrow('not wanted any more')
    expect(said).toEqual(['begun'])
    const { exitCode } = await runHere(['pgrep', '--full', '^sleep (11111|22222)$']).ended
    expect(exitCode).toBe(1)
  })

  test('no process is started where none runs', async () => {
    kube.pod = { ...kube.pod, metadata: { ...kube.pod.metadata, uid: 'another' } }
    await expect(inside.open(API, request(['cat']), signal())).rejects.toMatchObject({
      code: 'EXEC_FAILED',
      message: 'api is not running',
      hint: 'devstack up api',
    })
  })
})

describe.skipIf(cannotRunAgent !== null)('a command with a terminal', () => {
  const asked = { tty: false, interactive: true, user: null, workdir: null, env: {} } as const
  const terminal = (input: string) => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
    stdin.end(input)
    return { stdin, stdout, stderr }
  }

  test('runs in the container itself, with its input, outputs and exit code', async () => {
    node.inContainer = (argv) => runHere(argv)
    const pipes = terminal('word\n')
    const argv = ['sh', '-c', 'read line; echo "got $line"; echo bad >&2; exit 4']
    expect(await inside.exec(API, { ...asked, argv }, pipes, signal())).toBe(4)
    expect([String(pipes.stdout.read()), String(pipes.stderr.read())]).toEqual(['got word\n', 'bad\n'])
    expect(kube.added).toEqual([])
  })

  test('goes by the agent where a user, a folder or variables are asked for', async () => {
    const pipes = terminal('')
    const argv = ['sh', '-c', 'echo "$PWD $A"; echo bad >&2']
    expect(
      await inside.exec(API, { ...asked, argv, workdir: '/usr', env: { A: '1' } }, pipes, signal()),
    ).toBe(0)
    expect([String(pipes.stdout.read()), String(pipes.stderr.read())]).toEqual(['/usr 1\n', 'bad\n'])
  })

  test.each([{}, { workdir: '/usr' }])('a program that is not there is refused by name: %j', async (more) => {
    await expect(
      inside.exec(API, { ...asked, ...more, argv: ['there-is-none'] }, terminal(''), signal()),
    ).rejects.toMatchObject({ code: 'EXEC_FAILED' })
  })

  test('has the size of the terminal, its keys as they are, and leaves it as it was', async () => {
    const sizes: (readonly [number, number])[] = []
    const modes: boolean[] = []
    node.inContainer = (argv) => ({ ...runHere(argv), resize: (...size) => sizes.push(size) })
    const pipes = { ...terminal(''), stdin: new PassThrough() }
    const stdin = Object.assign(pipes.stdin, {
      isTTY: true as const,
      setRawMode: (on: boolean) => void modes.push(on),
    })
    const stdout = Object.assign(pipes.stdout, { columns: 80, rows: 24 })
    const running = inside.exec(
      API,
      { ...asked, tty: true, argv: ['cat'] },
      { ...pipes, stdin: stdin as never, stdout },
      signal(),
    )
    await vi.waitFor(() => expect(modes).toEqual([true]))
    stdout.columns = 120
    stdout.emit('resize')
    stdin.end()
    expect(await running).toBe(0)
    expect([sizes, modes]).toEqual([
      [
        [80, 24],
        [120, 24],
      ],
      [true, false],
    ])
    expect(stdout.listenerCount('resize')).toBe(0)
  })

  test('an abort is answered with its reason', async () => {
    node.inContainer = (argv) => runHere(argv)
    const stop = new AbortController()
    const running = inside.exec(
      API,
      { ...asked, interactive: false, argv: ['sleep', '1'] },
      terminal(''),
      stop.signal,
    )
    setTimeout(() => stop.abort(new Error('not wanted any more')), 50)
    await expect(running).rejects.toThrow('not wanted any more')
  })
})
