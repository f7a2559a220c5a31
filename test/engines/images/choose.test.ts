import { describe, expect, test } from 'vitest'
import { DevstackError } from '../../../src/core/error.js'
import type { ImageSource } from '../../../src/core/images.js'
import { chooseImages } from '../../../src/engines/images/choose.js'
import type { WantedImage } from '../../../src/engines/images/choose.js'
import type { EngineImage } from '../../../src/engines/images/engine.js'
import { createRegistryProbe } from '../../../src/engines/images/registry.js'
import { FakeImageEngine, fakeImage, fakeRecipe, unreachable } from './fakes.js'

const RECIPES = [
  fakeRecipe('base', { kind: 'debootstrap', upstream: [] }),
  fakeRecipe('postgres', { major: '17' }),
  fakeRecipe('elasticsearch', { major: '8', reduced: 'no scripts' }),
  fakeRecipe('python', { major: '3.13', trustsHost: true }),
]

const signal = new AbortController().signal

function offline(present: EngineImage[] = []): FakeImageEngine {
  const engine = new FakeImageEngine(present)
  engine.registry = () => Promise.reject(unreachable('registry.example'))
  return engine
}

async function choose(
  engine: FakeImageEngine,
  wanted: readonly (string | WantedImage)[],
  source: ImageSource = 'auto',
): Promise<string[]> {
  const images = wanted.map((image) => (typeof image === 'string' ? { ref: image, services: ['s'] } : image))
  const choices = await chooseImages({ wanted: images, source, recipes: RECIPES, engine, signal })
  return choices.map(({ wanted, action, ref, reason }) => `${wanted} -> ${action} ${ref} (${reason})`)
}

describe('chooseImages, auto', () => {
  test('an image that is there is reused and no registry is asked', async () => {
    const engine = offline([fakeImage('postgres:17')])
    expect(await choose(engine, ['docker.io/library/postgres:17'])).toEqual([
      'docker.io/library/postgres:17 -> reuse docker.io/library/postgres:17 (already on this machine)',
    ])
    expect(engine.asked).toEqual([])
  })

  test('pulls where the registry answers', async () => {
    expect(await choose(new FakeImageEngine(), ['postgres:17', 'mysql:9'])).toEqual([
      'postgres:17 -> pull postgres:17 (not on this machine; docker.io answers)',
      'mysql:9 -> pull mysql:9 (not on this machine; docker.io answers)',
    ])
  })

  test('a refusal is an answer', async () => {
    const engine = new FakeImageEngine()
    engine.registry = () => Promise.reject(Object.assign(new Error('unauthorized'), { statusCode: 401 }))
    expect((await choose(engine, ['postgres:17']))[0]).toContain('-> pull')
  })

  test('builds where no registry answers, and says why and what the build lacks', async () => {
    const [choice] = await chooseImages({
      wanted: [{ ref: 'elasticsearch:8.1.0', services: ['search'] }],
      source: 'auto',
      recipes: RECIPES,
      engine: offline(),
      signal,
    })
    expect(choice).toEqual({
      wanted: 'elasticsearch:8.1.0',
      ref: 'devstack/elasticsearch:aaaaaaaaaaaa',
      action: 'build',
      origin: 'built',
      recipe: 'elasticsearch',
      reason:
        'built from the recipe elasticsearch: docker.io does not answer (dial tcp: lookup registry.example: no such host)',
      reduced: 'no scripts',
      services: ['search'],
    })
  })

  test('what was built before is used without asking a registry', async () => {
    const engine = offline([fakeImage('devstack/postgres:aaaaaaaaaaaa')])
    expect(await choose(engine, ['postgres:17', 'devstack/postgres:000000000000'])).toEqual([
      'postgres:17 -> reuse devstack/postgres:aaaaaaaaaaaa (built earlier from the recipe postgres)',
      'devstack/postgres:000000000000 -> reuse devstack/postgres:aaaaaaaaaaaa (built earlier from the recipe postgres)',
    ])
    expect(engine.asked).toEqual([])
  })

  test('an image of an older recipe is not used', async () => {
    const engine = offline([fakeImage('devstack/postgres:000000000000')])
    expect((await choose(engine, ['postgres:17']))[0]).toContain('-> build devstack/postgres:aaaaaaaaaaaa')
  })

  test('says that an image trusts the certificates of the host', async () => {
    expect((await choose(offline(), ['python:3.13']))[0]).toContain(
      'it trusts the certificates of this machine',
    )
  })

  test('asks each registry once', async () => {
    const engine = offline()
    await choose(engine, ['postgres:17', 'postgres:17.1', 'python:3.13'])
    expect(engine.asked).toEqual(['postgres:17'])
  })

  test('names every image that is not to be had, in one error', async () => {
    const error = await choose(offline(), ['postgres:16', 'mysql:9', 'python:3.13']).catch(
      (error: unknown) => error,
    )
    expect(error).toBeInstanceOf(DevstackError)
    const { code, problems, hint } = error as DevstackError
    expect(code).toBe('IMAGE_UNAVAILABLE')
    expect(problems.map(({ message }) => message.replace(/ \(.*\)/, ''))).toEqual([
      'postgres:16: docker.io does not answer, and the recipe builds postgres 17',
      'mysql:9: docker.io does not answer, and there is no recipe for it',
    ])
    expect(hint).toContain('postgres 17, elasticsearch 8, python 3.13')
  })

  test('an image that is a service and a base is chosen once, as a base', async () => {
    const twice = [
      { ref: 'python:3-alpine', services: ['a'] },
      { ref: 'python:3-alpine', services: ['b'], use: 'base' as const },
    ]
    await expect(choose(offline(), twice)).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' })
    expect(await choose(offline(), twice.slice(0, 1))).toHaveLength(1)
  })
})

describe('chooseImages, other sources', () => {
  test('registry: pulls without asking', async () => {
    const engine = offline()
    expect((await choose(engine, ['postgres:17'], 'registry'))[0]).toContain('-> pull postgres:17')
    expect(engine.asked).toEqual([])
  })

  test('local: builds without asking, and pulls nothing', async () => {
    const engine = new FakeImageEngine()
    expect((await choose(engine, ['postgres:17'], 'local'))[0]).toContain(
      '(built from the recipe postgres: images.source is local)',
    )
    await expect(choose(engine, ['mysql:9'], 'local')).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' })
    expect(engine.asked).toEqual([])
  })
})

describe('createRegistryProbe', () => {
  test('does not wait for a registry that never answers', async () => {
    const engine = new FakeImageEngine()
    engine.registry = () => new Promise(() => undefined)
    expect(await createRegistryProbe(engine, 10)('postgres:17', signal)).toEqual({
      host: 'docker.io',
      answers: false,
      why: 'no answer in 0.01 s',
    })
  })

  test('a cancelled question is asked again', async () => {
    const engine = new FakeImageEngine()
    engine.registry = () => new Promise(() => undefined)
    const probe = createRegistryProbe(engine, 10_000)
    const abort = new AbortController()
    const first = probe('postgres:17', abort.signal)
    abort.abort(new Error('cancelled'))
    await expect(first).rejects.toThrow('cancelled')
    engine.registry = () => Promise.resolve()
    expect(await probe('postgres:17', signal)).toMatchObject({ answers: true })
  })

  test('an engine that is gone is no silent registry', async () => {
    const engine = new FakeImageEngine()
    engine.registry = () => Promise.reject(new Error('connect ENOENT /var/run/docker.sock'))
    await expect(createRegistryProbe(engine)('postgres:17', signal)).rejects.toThrow('ENOENT')
  })
})
