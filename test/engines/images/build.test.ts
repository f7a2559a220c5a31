import { describe, expect, test, vi } from 'vitest'
import type { Progress } from '../../../src/core/events.js'
import { createImageBuilder } from '../../../src/engines/images/build.js'
import type { ImageBuilder } from '../../../src/engines/images/build.js'
import type { HostCa } from '../../../src/engines/images/host-settings.js'
import type { Recipe } from '../../../src/engines/images/recipes.js'
import type { ProgramRequest } from '../../../src/engines/images/run.js'
import { FakeImageEngine, FakePrograms, fakeImage, fakeRecipe } from './fakes.js'

const BASE = fakeRecipe('base', {
  kind: 'debootstrap',
  ref: 'devstack/base:1',
  suite: 'trixie',
  apt: 'apt.conf',
  dpkg: 'dpkg.conf',
})
const RECIPES: readonly Recipe[] = [
  BASE,
  fakeRecipe('redis', { usualSeconds: 1 }),
  fakeRecipe('nginx', { usualSeconds: 2 }),
  fakeRecipe('elasticsearch', {
    usualSeconds: 60,
    usesHostCa: true,
    usesMavenSettings: true,
    buildArgs: { VERSION: '8' },
  }),
  fakeRecipe('python', { trustsHost: true, shared: ['x'], reduced: 'less' }),
]

function setUp(
  answer: (request: ProgramRequest) => Promise<object> = () => Promise.resolve({}),
  options: { base?: boolean; hostCa?: HostCa } = {},
): { programs: FakePrograms; builder: ImageBuilder } {
  const programs = new FakePrograms(answer)
  const engine = new FakeImageEngine(options.base === false ? [] : [fakeImage(BASE.ref)])
  const builder = createImageBuilder({
    recipes: RECIPES,
    engine,
    run: programs.run,
    hostCa: options.hostCa ?? null,
    mavenSettings: null,
  })
  return { programs, builder }
}

function request(
  signal = new AbortController().signal,
  seen: Progress[] = [],
): Parameters<ImageBuilder['build']>[1] {
  return { signal, progress: (progress) => seen.push(progress), output: () => undefined }
}

function tick(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 5)
  })
}

async function slowly(): Promise<object> {
  await tick()
  return {}
}

function built(programs: FakePrograms): (string | undefined)[] {
  return programs.calls
    .filter(([, word]) => word === 'buildx')
    .map((argv) => argv[argv.indexOf('--tag') + 1]?.split(/[/:]/)[1])
}

describe('the command line of a build', () => {
  test('names the base, the arguments, the labels and the secrets that the recipe asks for', async () => {
    const hostCa = { files: [], pem: 'PEM', sha256: 'cafe' }
    const { programs, builder } = setUp(undefined, { hostCa })
    await builder.build('python', request())
    await builder.build('redis', request())
    const [python = [], redis = []] = programs.calls
    const words = python.join(' ').replaceAll(/\/\S*\/devstack-build-\w+/g, 'TMP')
    expect(words).toContain('docker buildx build --builder default --load')
    expect(words).toContain('--build-arg BASE=devstack/base:1')
    expect(words).toContain('--build-arg TRUST_HOST_CA=yes')
    expect(words).toContain('--label dev.devstack.image=python --label dev.devstack.recipe=aaaaaaaaaaaa')
    expect(words).toContain('--label dev.devstack.family=debian-trixie --label dev.devstack.major=1')
    expect(words).toContain('--label dev.devstack.reduced=less')
    expect(words).toContain('--secret id=host-ca,src=TMP/host-ca.pem --build-context shared=/recipes/shared')
    expect(python.slice(-2)).toEqual(['--', '/recipes/python'])
    expect(redis.join(' ')).not.toMatch(/secret|HOST_CA/)
  })

  test('a build that only fetches over HTTPS leaves no trust behind', async () => {
    const { programs, builder } = setUp(undefined, { hostCa: { files: [], pem: 'PEM', sha256: 'cafe' } })
    await builder.build('elasticsearch', request())
    expect(programs.calls[0]?.join(' ')).toContain('--secret id=host-ca')
    expect(programs.calls[0]?.join(' ')).not.toContain('TRUST_HOST_CA')
  })
})

describe('several builds', () => {
  test('at most two at a time, the longest first', async () => {
    const { programs, builder } = setUp(slowly)
    await Promise.all(
      ['redis', 'nginx', 'elasticsearch', 'python'].map((name) => builder.build(name, request())),
    )
    // Two that begin together prepare side by side: which of them calls first is open.
    const order = built(programs)
    expect(new Set(order.slice(0, 2))).toEqual(new Set(['elasticsearch', 'nginx']))
    expect(new Set(order.slice(2))).toEqual(new Set(['redis', 'python']))
    expect(programs.mostAtOnce).toBe(2)
  })

  test('a base that several need is made once, before them', async () => {
    const { programs, builder } = setUp(slowly, { base: false })
    await Promise.all(['redis', 'nginx'].map((name) => builder.build(name, request())))
    const order = programs.calls.map(([program, word]) =>
      program === 'docker' ? `docker ${word ?? ''}` : program,
    )
    expect(order.filter((word) => word === 'mmdebstrap')).toHaveLength(1)
    expect(order.indexOf('docker import')).toBeLessThan(order.indexOf('docker buildx'))
    expect(built(programs)).toHaveLength(2)
  })

  test('a failing one does not stop the other', async () => {
    const { programs, builder } = setUp(({ argv }) =>
      Promise.resolve({ exitCode: argv.join(' ').includes('devstack/redis') ? 1 : 0 }),
    )
    const results = await Promise.allSettled(
      ['redis', 'nginx', 'python'].map((name) => builder.build(name, request())),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(built(programs)).toHaveLength(3)
  })

  test('one who leaves does not end the base that another waits for; the last does', async () => {
    const aborted: boolean[] = []
    const { programs, builder } = setUp(
      ({ argv, signal }) =>
        argv[0] === 'mmdebstrap'
          ? new Promise((_, reject) => {
              signal.addEventListener('abort', () => {
                aborted.push(true)
                reject(signal.reason as Error)
              })
            })
          : Promise.resolve({}),
      { base: false },
    )
    const [first, second] = [new AbortController(), new AbortController()]
    const builds = [
      builder.build('redis', request(first.signal)),
      builder.build('nginx', request(second.signal)),
    ]
    const outcomes = Promise.allSettled(builds)
    await vi.waitFor(() => {
      expect(programs.calls.map(([program]) => program)).toContain('mmdebstrap')
    })
    first.abort(new Error('enough'))
    await expect(builds[0]).rejects.toThrow('enough')
    expect(aborted).toEqual([])
    second.abort(new Error('enough'))
    await outcomes
    expect(aborted).toEqual([true])
  })
})

describe('a failing build', () => {
  const vertex = {
    digest: 'd',
    name: '[2/3] RUN make   all',
    started: 'x',
    completed: 'x',
    error: 'exit code: 2',
  }
  const status = (value: object): string => JSON.stringify(value)

  test('names its step and the last lines of it', async () => {
    const { builder } = setUp(({ output }) => {
      output?.(status({ vertexes: [{ digest: 'c', name: '[1/3] FROM x', completed: 'x' }, vertex] }))
      output?.(status({ vertexes: [{ digest: 'e', name: '[3/3] COPY', error: 'context canceled' }] }))
      output?.(
        status({ logs: [{ vertex: 'd', data: Buffer.from('one\ntwo\u001b[31m\n').toString('base64') }] }),
      )
      return Promise.resolve({ exitCode: 1 })
    })
    const seen: Progress[] = []
    await expect(builder.build('redis', request(undefined, seen))).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: 'the image redis could not be built at: RUN make all',
      why: 'one\ntwo\nexit code: 2',
    })
    expect(seen.find(({ step }) => step !== null)).toMatchObject({ step: 2, steps: 2, percent: 100 })
  })

  test('tells what runs now, counted without what BuildKit does for itself', async () => {
    const at = (name: string, started: string, completed?: string): object => ({
      digest: name,
      name,
      started,
      completed,
    })
    const { builder } = setUp(({ output }) => {
      const last = at('[stage 2/3] RUN two', '2')
      output?.(
        status({
          vertexes: [
            last,
            at('[internal] load', '9'),
            at('[stage 1/3] FROM x', '1', '2'),
            at('[context a] b', '9'),
          ],
        }),
      )
      return Promise.resolve({})
    })
    const seen: Progress[] = []
    await builder.build('redis', request(undefined, seen))
    expect(seen.at(-1)).toMatchObject({ text: 'RUN two', step: 2, steps: 2, percent: 50 })
  })

  test('reads documents that stand on several lines', async () => {
    const { builder } = setUp(({ output }) => {
      for (const line of JSON.stringify({ vertexes: [vertex] }, null, 2).split('\n')) output?.(line)
      return Promise.resolve({ exitCode: 1 })
    })
    await expect(builder.build('redis', request())).rejects.toThrow('at: RUN make all')
  })

  test('says what the program said where no step failed', async () => {
    const stderr = ['ERROR: unknown flag: --x']
    const { builder } = setUp(() => Promise.resolve({ exitCode: 125, stderr }))
    await expect(builder.build('redis', request())).rejects.toMatchObject({ why: stderr[0] })
  })

  test('a full disk is one', async () => {
    const stderr = ['ERROR: write /x: no space left on device']
    const { builder } = setUp(() => Promise.resolve({ exitCode: 1, stderr }))
    await expect(builder.build('redis', request())).rejects.toMatchObject({ code: 'DISK_FULL' })
  })

  test('the base: what mmdebstrap said', async () => {
    const { builder } = setUp(
      ({ argv }) =>
        Promise.resolve(
          argv[0] === 'mmdebstrap' ? { exitCode: 1, stderr: ['I: x', 'E: cannot reach the mirror'] } : {},
        ),
      { base: false },
    )
    await expect(builder.build('redis', request())).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      why: 'E: cannot reach the mirror',
    })
  })
})
