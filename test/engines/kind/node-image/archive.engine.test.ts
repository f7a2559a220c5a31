import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDocker } from '../../../../src/engines/compose/docker.js'
import { createImageArchive } from '../../../../src/engines/kind/node-image/archive.js'
import { loadFromCache, saveToCache } from '../../../../src/engines/kind/node-image/cache.js'
import { engineIsThere, ENDPOINT } from '../../../contract/compose-there.js'

const execute = promisify(execFile)
const REF = `ds-node-test:${randomBytes(4).toString('hex')}`
const there = await engineIsThere()
const signal = new AbortController().signal

async function docker(...args: string[]): Promise<string> {
  const { stdout } = await execute('docker', args)
  return stdout.trim()
}

/** An image of one layer, which cannot be made small by packing. */
async function makeImage(folder: string): Promise<string> {
  await writeFile(join(folder, 'data'), randomBytes(4 * 1024 * 1024))
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY data /data\n')
  await docker('build', '--quiet', '--tag', REF, folder)
  return await docker('image', 'inspect', '--format', '{{.Id}}', REF)
}

describe.skipIf(!there)('the cache of images, with a real engine', () => {
  const archive = createImageArchive(createDocker(ENDPOINT))
  let folder: string
  let file: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ds-node-archive-'))
    file = join(folder, 'cache', 'image.tar.zst')
  })

  afterAll(async () => {
    await docker('rmi', '--force', REF).catch(() => '')
    await rm(folder, { recursive: true })
  })

  test('gives back an image that the engine has lost, and tells how far it is', async () => {
    const id = await makeImage(folder)
    await saveToCache(archive, REF, file, signal)
    await docker('rmi', '--force', REF)
    const percents: (number | null)[] = []
    await loadFromCache(archive, file, ({ percent }) => void percents.push(percent), signal)
    expect(await docker('image', 'inspect', '--format', '{{.Id}}', REF)).toBe(id)
    expect(percents.at(-1)).toBe(99)
  })

  test.each([
    ['cut off', (content: Buffer) => content.subarray(0, content.length / 2)],
    ['changed', (content: Buffer) => Buffer.concat([content.subarray(0, 5000), content.subarray(5001)])],
    ['something else', () => Buffer.from('no archive at all')],
  ])('refuses a file that is %s', async (_, damage) => {
    const damaged = join(folder, 'damaged.tar.zst')
    await writeFile(damaged, damage(await readFile(file)))
    await expect(loadFromCache(archive, damaged, () => undefined, signal)).rejects.toThrow(/./)
  })

  test('stops loading when it is cancelled', async () => {
    const abort = new AbortController()
    const loading = loadFromCache(
      archive,
      file,
      () => {
        abort.abort(new Error('enough'))
      },
      abort.signal,
    )
    await expect(loading).rejects.toThrow()
  })
})
