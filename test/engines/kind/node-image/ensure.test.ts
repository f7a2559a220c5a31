import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ImageSource } from '../../../../src/core/images.js'
import { describe as describeImage, ensure } from '../../../../src/engines/kind/node-image/ensure.js'
import type { NodeImage } from '../../../../src/engines/kind/node-image/options.js'
import { fakeImage } from '../../images/fakes.js'
import { BUILT_IMAGE, FakeMachine, pulledImage, REGISTRY_IMAGE } from './fakes.js'

let folder: string
let machine: FakeMachine
const warnings: string[] = []
const told: string[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ds-node-'))
  machine = new FakeMachine(folder)
  warnings.length = 0
  told.length = 0
})

/** What goes on beside the tests, and ends by itself: the folder is in use until then. */
const saving: Promise<void>[] = []

afterEach(async () => {
  await Promise.all(saving.splice(0))
  await rm(folder, { recursive: true })
})

async function bring(
  source: ImageSource = 'auto',
  signal: AbortSignal = new AbortController().signal,
): Promise<NodeImage> {
  const wishes = {
    source,
    progress: ({ text }: { readonly text: string }) => void told.push(text),
    warn: (message: string) => void warnings.push(message),
  }
  const image = await ensure(machine.parts, wishes, signal)
  saving.push(image.saved)
  return image
}

describe('where a registry answers', () => {
  beforeEach(() => {
    machine.registryAnswers = true
  })

  test('the image of kind is pulled by its digest', async () => {
    expect(await bring()).toMatchObject({ ref: REGISTRY_IMAGE, origin: 'pulled' })
    expect(machine.done).toEqual(['asked for kindest/node:v1.34.0', 'pulled'])
  })

  test('what was pulled is used again without asking', async () => {
    machine.engine.present.push(pulledImage())
    expect(await bring()).toMatchObject({ ref: REGISTRY_IMAGE, origin: 'present' })
    expect(machine.done).toEqual([])
  })

  test('what was built earlier is used, unless the registry is asked for by name', async () => {
    machine.engine.present.push(fakeImage(BUILT_IMAGE))
    expect(await bring()).toMatchObject({ ref: BUILT_IMAGE, origin: 'present' })
    expect(await bring('registry')).toMatchObject({ ref: REGISTRY_IMAGE, origin: 'pulled' })
  })

  test('nothing is pulled where images.source is local', async () => {
    machine.engine.present.push(pulledImage())
    expect(await bring('local')).toMatchObject({ ref: BUILT_IMAGE, origin: 'built' })
    expect(machine.done).toEqual(['built'])
  })
})

describe('where no registry answers', () => {
  test('the image is built and then kept in the cache, of which only this user can read', async () => {
    const { ref, origin, saved } = await bring()
    expect({ ref, origin }).toEqual({ ref: BUILT_IMAGE, origin: 'built' })
    await saved
    expect(zstdDecompressSync(await readFile(machine.file)).toString()).toBe(BUILT_IMAGE)
    expect(await readdir(folder)).toEqual(['0123456789ab.tar.zst'])
  })

  test('an engine that lost it gets it from the cache', async () => {
    await (
      await bring()
    ).saved
    machine.engine.present.length = 0
    expect(await bring()).toMatchObject({ ref: BUILT_IMAGE, origin: 'loaded' })
    expect(machine.done).toEqual(['asked for kindest/node:v1.34.0', 'built', 'tidied'])
    expect(machine.archive.loaded[0]).toEqual(await readFile(machine.file))
    expect(told.at(-1)).toBe('loading the node image from the cache')
  })

  test('a damaged file is told of, removed, and the image built anew', async () => {
    await writeFile(machine.file, 'half of it')
    machine.archive.answer = () => Promise.reject(new Error('invalid tar header'))
    const { origin, saved } = await bring()
    await saved
    expect(origin).toBe('built')
    expect(warnings).toEqual([expect.stringContaining('invalid tar header')])
    expect(zstdDecompressSync(await readFile(machine.file)).toString()).toBe(BUILT_IMAGE)
  })

  test('a file that holds another image counts as damaged', async () => {
    await writeFile(machine.file, 'another image')
    machine.archive.answer = () => Promise.resolve()
    expect((await bring()).origin).toBe('built')
    expect(warnings).toEqual([expect.stringContaining(`does not hold ${BUILT_IMAGE}`)])
  })

  test('an image that is there is kept too, where the process that built it did not come to that', async () => {
    machine.engine.present.push(fakeImage(BUILT_IMAGE))
    await (
      await bring()
    ).saved
    expect(await readdir(folder)).toEqual(['0123456789ab.tar.zst'])
  })

  test('a cache that cannot be written stops nothing', async () => {
    machine.archive.content = () => Readable.from(failAfter('some of it'))
    await (
      await bring()
    ).saved
    expect(warnings).toEqual([`the node image could not be kept in ${machine.file}: the engine is gone`])
    expect(await readdir(folder)).toEqual([])
  })

  test('of two at once one builds, and the other waits and uses that', async () => {
    const gate = Promise.withResolvers<undefined>()
    machine.building = () => gate.promise
    const first = bring()
    const second = bring()
    await expect.poll(() => told).toContain('waiting for another devstack, which makes the node image')
    gate.resolve(undefined)
    expect([(await first).origin, (await second).origin].toSorted()).toEqual(['built', 'present'])
    expect(machine.done.filter((what) => what === 'built')).toHaveLength(1)
    await Promise.all([(await first).saved, (await second).saved])
  })

  test('a build that is cancelled gives the lock back and leaves no file', async () => {
    const abort = new AbortController()
    machine.building = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error)
        })
      })
    const cancelled = bring('local', abort.signal)
    await expect.poll(() => machine.done).toEqual(['built'])
    abort.abort(new Error('enough'))
    await expect(cancelled).rejects.toThrow('enough')
    expect(await readdir(folder)).toEqual([])
    machine.building = () => Promise.resolve()
    const { origin, saved } = await bring('local')
    expect(origin).toBe('built')
    await saved
  })

  test('keeping the image ends at once when it is cancelled, and nothing half-made stays', async () => {
    const abort = new AbortController()
    machine.archive.content = () => Readable.from(endless())
    const { saved } = await bring('local', abort.signal)
    await expect.poll(() => readdir(folder)).toHaveLength(1)
    abort.abort(new Error('enough'))
    await saved
    expect(await readdir(folder)).toEqual([])
    expect(warnings).toEqual([])
  })
})

describe('the cache', () => {
  test('keeps the newest file and one older, and nothing that a killed process left long ago', async () => {
    await mkdir(dirname(machine.file), { recursive: true })
    const old = new Date(Date.now() - 3_600_000)
    const { utimes } = await import('node:fs/promises')
    for (const [index, name] of [
      'a.tar.zst',
      'b.tar.zst',
      'c.tar.zst',
      'd.tar.zst.7-1.unfinished',
    ].entries()) {
      await writeFile(join(folder, name), name)
      const at = new Date(old.getTime() + index * 1000)
      await utimes(join(folder, name), at, at)
    }
    await writeFile(join(folder, 'e.tar.zst.8-1.unfinished'), 'another process writes it right now')
    await (
      await bring('local')
    ).saved
    expect((await readdir(folder)).toSorted()).toEqual([
      '0123456789ab.tar.zst',
      'c.tar.zst',
      'e.tar.zst.8-1.unfinished',
    ])
  })
})

describe('devstack images', () => {
  const signal = new AbortController().signal

  test('tells what would be done, without asking a registry', async () => {
    expect(await describeImage(machine.parts, 'auto', signal)).toMatchObject({
      ref: BUILT_IMAGE,
      origin: 'unknown',
      present: false,
      cachedBytes: null,
    })
    expect(machine.done).toEqual([])
  })

  test('tells the size in the engine and in the cache', async () => {
    await (
      await bring('local')
    ).saved
    expect(await describeImage(machine.parts, 'auto', signal)).toMatchObject({
      ref: BUILT_IMAGE,
      origin: 'built',
      present: true,
      bytes: 1000,
      cachedBytes: expect.any(Number) as number,
      kubernetes: '1.34.4',
    })
  })

  test('tells the reference of the registry where it was pulled', async () => {
    machine.engine.present.push(pulledImage())
    const told = await describeImage(machine.parts, 'registry', signal)
    expect(told).toMatchObject({ ref: REGISTRY_IMAGE, origin: 'pulled', present: true })
  })
})

function* failAfter(text: string): Generator<Buffer> {
  yield Buffer.from(text)
  throw new Error('the engine is gone')
}

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(64 * 1024)
}
