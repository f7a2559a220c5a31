import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { orderChanges } from '../../../../src/engines/compose/change-order.js'
import { openAgentStream } from '../../../../src/engines/kind/inside/agent-stream.js'
import type { AgentStream } from '../../../../src/engines/kind/inside/agent-stream.js'
import { Batch } from '../../../../src/engines/kind/inside/batch.js'
import {
  createAnswerReader,
  deleteFrame,
  beginFrame,
  commitFrame,
  fileFrame,
} from '../../../../src/engines/kind/inside/frames.js'
import { readAgentProgram, serveCommand } from '../../../../src/engines/kind/inside/program.js'
import type { Delivery, FileChange } from '../../../../src/orchestrator/ports.js'
import { AGENT, cannotRunAgent, runHere } from './local-agent.js'
import { ModelFiles } from './model-files.js'

const TIME = Date.UTC(2024, 0, 2, 3, 4, 5, 678)
const root = process.getuid?.() === 0

describe.skipIf(cannotRunAgent !== null)('the agent', () => {
  let place: string
  let stream: AgentStream
  let batches = 0
  const signal = (): AbortSignal => AbortSignal.timeout(20_000)
  const inside = (path: string): string => join(place, 'root', path)
  const source = (text: string): string => {
    const path = join(place, `source-${String(++batches)}`)
    writeFileSync(path, text)
    return path
  }
  const write = (target: string, text: string, mode = 0o644): FileChange => ({
    type: 'write',
    source: source(text),
    target,
    mode,
  })
  const deliver = async (
    changes: readonly FileChange[],
    bounds = { roots: ['/app'], binds: ['/bound'] },
  ): Promise<Delivery> => {
    const batch = new Batch(++batches, orderChanges(changes), {
      bounds,
      named: new Set(),
      timeOf: () => TIME,
      signal: signal(),
    })
    return batch.result(await stream.batch(batch.id, batch.chunks(), signal()))
  }
  const begin = async (): Promise<AgentStream> => {
    const program = { ...(await readAgentProgram(AGENT)), path: join(place, 'agent.pl') }
    const owner = root ? ['--uid=1234', '--gid=2345'] : ['--uid=0', '--gid=0']
    const options = [`--root=${join(place, 'root')}`, ...owner]
    return await openAgentStream(runHere(serveCommand(program, options)), program.source, signal())
  }

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'devstack-agent-'))
    mkdirSync(join(place, 'root'))
    stream = await begin()
  })
  afterAll(async () => {
    stream.close()
    await rm(place, { recursive: true, force: true })
  })
  beforeEach(() => {
    for (const name of readdirSync(join(place, 'root'))) rmSync(inside(name), { recursive: true })
    mkdirSync(inside('app'))
  })

  test('a file has its bytes, permissions, owner and time, and so have the folders that it needs', async () => {
    const delivery = await deliver([write('/app/deep/er/run.sh', 'echo', 0o750)])
    expect(delivery).toMatchObject({ bytes: 4, failed: [] })
    expect(readFileSync(inside('app/deep/er/run.sh'), 'utf8')).toBe('echo')
    const about = statSync(inside('app/deep/er/run.sh'))
    expect(about.mode & 0o7777).toBe(0o750)
    expect(about.mtimeMs).toBe(TIME)
    if (root) expect([about.uid, about.gid, statSync(inside('app/deep')).uid]).toEqual([1234, 2345, 1234])
    expect(statSync(inside('app/deep')).mode & 0o7777).toBe(0o755)
  })

  test('nothing of the way that a file takes is left', async () => {
    await deliver([write('/app/a', '1'), write('/b', '2')])
    expect(readdirSync(inside('app'))).toEqual(['a'])
    expect(readdirSync(inside('.devstack/new'))).toEqual([])
  })

  test('names may hold anything', async () => {
    const target = '/app/-rf\n"quoted" ü \\ $x'
    await deliver([write(target, 'x')])
    expect(readdirSync(inside('app'))).toEqual([target.slice('/app/'.length)])
    await deliver([{ type: 'delete', target }])
    expect(readdirSync(inside('app'))).toEqual([])
  })

  test('a link is replaced, never written through, and has its time', async () => {
    writeFileSync(inside('other'), 'other')
    symlinkSync('/other', inside('app/link'))
    await deliver([write('/app/link', 'new'), { type: 'link', target: '/app/to', to: '../other' }])
    expect([readFileSync(inside('app/link'), 'utf8'), readFileSync(inside('other'), 'utf8')]).toEqual([
      'new',
      'other',
    ])
    expect([readlinkSync(inside('app/to')), lstatSync(inside('app/to')).mtimeMs]).toEqual(['../other', TIME])
    expect(statSync(inside('other')).mtimeMs).not.toBe(TIME)
  })

  test('a folder gives way to a file only where nothing but folders is in it', async () => {
    mkdirSync(inside('app/empty/inner'), { recursive: true })
    mkdirSync(inside('app/used/inner'), { recursive: true })
    writeFileSync(inside('app/used/upload'), '')
    const { written, failed } = await deliver([write('/app/empty', 'file'), write('/app/used', 'file')])
    expect(Object.keys(written)).toEqual(['/app/empty'])
    expect(failed).toEqual([
      {
        target: '/app/used',
        cause: '/app/used is a folder in the container, with files that were not delivered',
      },
    ])
    expect(readdirSync(inside('app/used')).toSorted()).toEqual(['inner', 'upload'])
  })

  test('below a rule’s target no link leads out of it, and nothing goes into folders of the machine', async () => {
    mkdirSync(inside('outside'))
    mkdirSync(inside('bound'))
    mkdirSync(inside('app/real'))
    for (const [name, to] of [
      ['out', '/outside'],
      ['in', 'real'],
      ['bind', '/bound'],
      ['dead', 'nothing'],
    ] as const)
      symlinkSync(to, inside(`app/${name}`))
    const { written, failed } = await deliver(
      ['/app/out/x', '/app/in/x', '/app/bind/x', '/app/dead/x', '/bound/x', '/outside/x'].map((target) =>
        write(target, 'x'),
      ),
    )
    expect(Object.keys(written)).toEqual(['/app/in/x', '/outside/x'])
    expect(Object.fromEntries(failed.map(({ target, cause }) => [target, cause]))).toEqual({
      '/app/out/x': '/app/out is a link to /outside in the container, outside of /app',
      '/app/bind/x':
        '/app/bind is a link to /bound in the container, where a folder of this machine is mounted',
      '/app/dead/x': '/app/dead is a link to nothing in the container, where nothing is',
      '/bound/x': '/bound is a folder of this machine: nothing is written into your own files',
    })
  })

  test('a folder that the same batch deleted is not taken for there', async () => {
    mkdirSync(inside('app/real'))
    writeFileSync(inside('app/real/old'), '')
    symlinkSync('real', inside('app/in'))
    const { failed } = await deliver([
      { type: 'delete', target: '/app/in/old' },
      { type: 'delete', target: '/app/real' },
      write('/app/in/new', 'x'),
    ])
    const cause = '/app/in is a link to real in the container, where nothing is'
    expect(failed).toEqual([{ target: '/app/in/new', cause }])
  })

  test.each(['relative', '/app/../escape', '/app/./x', '/app//x', '/app/x/', '/app/..', '/', '/a\0b', ''])(
    'the agent itself refuses the place %j',
    async (target) => {
      const failures = await stream.batch(
        ++batches,
        (async function* () {
          yield beginFrame(batches, { roots: [], binds: [] })
          yield fileFrame({ index: 0, target, timeMs: TIME }, 0o644, Buffer.from('x'))
          yield deleteFrame(1, target)
          yield commitFrame(batches)
        })(),
        signal(),
      )
      expect(failures.map(({ index, cause }) => [index, cause])).toEqual(
        [0, 1].map((index) => [index, `${target} is no place for a file`]),
      )
      expect(readdirSync(place)).not.toContain('escape')
    },
  )

  test('a name that is too long is named, and the rest is delivered', async () => {
    const long = `/app/${'n'.repeat(256)}`
    const { written, failed } = await deliver([write('/app/a', '1'), write(long, 'x'), write('/app/b', '2')])
    expect(Object.keys(written)).toEqual(['/app/a', '/app/b'])
    expect(failed).toEqual([{ target: long, cause: 'File name too long' }])
  })

  test('what cannot be read is named, and the rest is delivered', async () => {
    const gone: FileChange = { type: 'write', source: join(place, 'gone'), target: '/app/gone', mode: 0o644 }
    const { written, failed } = await deliver([gone, write('/app/there', 'x')])
    expect(failed).toEqual([{ target: '/app/gone', cause: 'it is gone' }])
    expect(Object.keys(written)).toEqual(['/app/there'])
  })

  test('a file of 40 MB arrives whole; one that changes while it is read leaves what stood there', async () => {
    const large = join(place, 'large')
    await writeFile(large, Buffer.alloc(1_000_003, 'content'))
    await truncate(large, 40_000_000)
    const change: FileChange = { type: 'write', source: large, target: '/app/large', mode: 0o600 }
    expect((await deliver([change])).bytes).toBe(40_000_000)
    expect(readFileSync(inside('app/large')).equals(readFileSync(large))).toBe(true)
    const batch = new Batch(++batches, orderChanges([change, write('/app/next', 'x')]), {
      bounds: { roots: [], binds: [] },
      named: new Set(),
      timeOf: () => TIME,
      signal: signal(),
    })
    const disturbed = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of batch.chunks()) {
        if (statSync(large).size === 40_000_000) await truncate(large, 30_000_000)
        yield chunk
      }
    }
    const { failed, written } = batch.result(await stream.batch(batch.id, disturbed(), signal()))
    expect(failed).toEqual([{ target: '/app/large', cause: 'it changed while it was read' }])
    expect(Object.keys(written)).toEqual(['/app/next'])
    expect(statSync(inside('app/large')).size).toBe(40_000_000)
  })

  test('what an agent that was ended in the middle left behind, the next one takes away', async () => {
    mkdirSync(inside('.devstack/new'), { recursive: true })
    writeFileSync(inside('.devstack/new/4194999-1'), 'left')
    writeFileSync(inside(`.devstack/new/${String(process.pid)}-1`), 'in use')
    const next = await begin()
    next.close()
    expect(readdirSync(inside('.devstack/new'))).toEqual([`${String(process.pid)}-1`])
  })

  test('whatever is delivered, the files are those of a model, and nothing outside of the root is touched', async () => {
    const names = fc.constantFrom(
      '/app/a',
      '/app/a/b',
      '/app/a/b/c',
      '/app/d',
      '/app/in',
      '/app/in/x',
      '/app/out',
      '/app/out/x',
      '/app/up/y',
      '/app/loop/x',
      '/app/far/x',
      '/srv/a',
      '/srv/a/b',
      '/bound/x',
      '/bound',
      '/app/real',
      '/srv/root/bound/x',
    )
    const links = fc.constantFrom('/app/d', 'a', '..', '/srv', '/app', '../../../../..', '/bound', 'nothing')
    const change = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant('write' as const),
          target: names,
          text: fc.constantFrom('', 'one', 'two'),
        }),
      },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), target: names }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('link' as const), target: names, to: links }) },
    )
    mkdirSync(join(place, 'far'), { recursive: true })
    const begun = {
      '/app': null,
      '/app/real': null,
      '/srv': null,
      '/bound': null,
      '/srv/root': '/',
      '/app/in': 'real',
      '/app/out': '/srv',
      '/app/up': '..',
      '/app/loop': 'loop',
      '/app/far': join(place, 'far'),
    }
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 3 }), async (rounds) => {
        for (const name of readdirSync(join(place, 'root'))) rmSync(inside(name), { recursive: true })
        const model = new ModelFiles(begun, { roots: ['/app'], binds: ['/bound'] })
        for (const [path, to] of Object.entries(begun)) {
          if (to === null) mkdirSync(inside(path), { recursive: true })
          else symlinkSync(to, inside(path))
        }
        for (const round of rounds) {
          const changes = round.map((one): FileChange =>
            one.type === 'write' ? write(one.target, one.text) : one,
          )
          const { failed } = await deliver(changes)
          const expected = model.play(orderChanges(changes))
          expect(failed.map(({ target }) => target).toSorted()).toEqual(expected.toSorted())
          expect(listing(join(place, 'root'))).toEqual(model.listing())
        }
        expect(readdirSync(join(place, 'far'))).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  function listing(folder: string, path = ''): Record<string, string> {
    const found: Record<string, string> = {}
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const name = `${path}/${entry.name}`
      if (name === '/.devstack') continue
      const real = join(folder, entry.name)
      if (entry.isSymbolicLink()) found[name] = `-> ${readlinkSync(real)}`
      else if (entry.isDirectory()) Object.assign(found, { [name]: 'folder' }, listing(real, name))
      else found[name] = readFileSync(real, 'utf8')
    }
    return found
  }
})

describe('answers of the agent', () => {
  test('are read however they are cut', () => {
    const frame = (type: string, payload: readonly number[]): number[] => [
      type.charCodeAt(0),
      0,
      0,
      0,
      payload.length,
      ...payload,
    ]
    const bytes = [
      ...frame('H', [0, 0, 0, 1, 0, 0, 4, 210, 0, 0, 0, 7]),
      ...frame('P', []),
      ...frame('R', [0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 3, 0x66, 0xc3, 0xbc]),
      ...frame('A', [0, 0, 0, 9]),
      ...frame('G', [0, 0, 0, 1, 0x4f]),
    ]
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (sizes) => {
        const read = createAnswerReader()
        const answers = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          answers.push(...read(Uint8Array.from(bytes.slice(at, at + size))))
          at += size
        }
        expect(answers).toEqual([
          { type: 'hello', version: 1, uid: 1234, gid: 7 },
          { type: 'progress' },
          { type: 'failure', failure: { index: 3, errno: 28, cause: 'fü' } },
          { type: 'done', batch: 9 },
          { type: 'gate', request: 1, state: 'opened' },
        ])
      }),
    )
  })
})
