import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import { readTar, TAR_END, tarFile } from '../../../../src/engines/kind/images/tar.js'

interface File {
  readonly name: string
  readonly content: Buffer
}

const files = fc.uniqueArray(
  fc.record({
    name: fc
      .array(fc.stringMatching(/^[a-z0-9äß.]{1,40}$/), { minLength: 1, maxLength: 8 })
      .map((parts) => parts.map((part) => `x${part}`).join('/')),
    content: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  }),
  { selector: ({ name }) => name, maxLength: 8 },
)

async function* cut(data: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0
  for (let index = 0; from < data.length; index++) {
    const size = sizes[index % sizes.length] ?? data.length
    yield await Promise.resolve(data.subarray(from, from + size))
    from += size
  }
}

async function archiveOf(all: readonly File[]): Promise<Buffer> {
  const archive = pack()
  const done = buffer(archive)
  for (const { name, content } of all) archive.entry({ name }, content)
  archive.finalize()
  return await done
}

async function read(source: AsyncIterable<Buffer>, skip: (index: number) => boolean): Promise<File[]> {
  const found: File[] = []
  let index = 0
  for await (const entry of readTar(source)) {
    if (skip(index++)) continue
    const pieces: Buffer[] = []
    for await (const piece of entry.body) pieces.push(piece)
    found.push({ name: entry.name, content: Buffer.concat(pieces).subarray(0, entry.size) })
  }
  return found
}

describe('archives', () => {
  test('every file is read as it was packed, wherever the pieces are cut and whatever is passed over', async () => {
    await fc.assert(
      fc.asyncProperty(
        files,
        fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 }),
        fc.nat(3),
        async (all, sizes, every) => {
          const skip = (index: number): boolean => every > 0 && index % (every + 1) === 0
          const found = await read(cut(await archiveOf(all), sizes), skip)
          expect(found).toEqual(all.filter((_, index) => !skip(index)))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('header and body of some entries make an archive again', async () => {
    const all = ['a', 'b/'.repeat(70) + 'long', 'c'].map((name) => ({ name, content: Buffer.from(name) }))
    const pieces: Buffer[] = []
    for await (const entry of readTar(cut(await archiveOf(all), [700]))) {
      if (entry.name === 'a') continue
      pieces.push(entry.header)
      for await (const piece of entry.body) pieces.push(piece)
    }
    pieces.push(tarFile('index.json', Buffer.from('{}')), TAR_END)
    const found = await read(cut(Buffer.concat(pieces), [100]), () => false)
    expect(found.map(({ name }) => name)).toEqual([all[1]?.name, 'c', 'index.json'])
  })

  test('one that ends within a file is no archive', async () => {
    const whole = await archiveOf([{ name: 'a', content: Buffer.alloc(5000) }])
    await expect(read(cut(whole.subarray(0, 3000), [700]), () => false)).rejects.toThrow('ends within a file')
  })
})
