import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readManifest } from '../../../src/engines/images/context.js'

const signal = new AbortController().signal

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-context-test-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

async function paths(dockerfile: string | null = null): Promise<string[]> {
  return Object.keys(await readManifest({ folder, dockerfile, signal }))
}

test('hashes what each file holds', async () => {
  await write({ 'a.txt': 'hello', 'b/c.txt': '' })
  expect(await readManifest({ folder, dockerfile: null, signal })).toEqual({
    'a.txt': createHash('sha256').update('hello').digest('hex'),
    'b/c.txt': createHash('sha256').update('').digest('hex'),
  })
})

test('leaves out what .dockerignore leaves out, and takes back what it takes back', async () => {
  await write({
    '.dockerignore': 'node_modules\n**/*.log\nout\n!out/keep.txt\n',
    'node_modules/x/index.js': '',
    'deep/node_modules/y.js': '',
    'deep/a.log': '',
    'out/gone.txt': '',
    'out/keep.txt': '',
  })
  expect(await paths()).toEqual(['.dockerignore', 'deep/node_modules/y.js', 'out/keep.txt'])
})

test("the Dockerfile's own ignore file comes first", async () => {
  await write({
    '.dockerignore': 'a',
    'dev.Dockerfile': '',
    'dev.Dockerfile.dockerignore': 'b',
    a: '',
    b: '',
  })
  expect(await paths(join(folder, 'dev.Dockerfile'))).toEqual([
    '.dockerignore',
    'a',
    'dev.Dockerfile',
    'dev.Dockerfile.dockerignore',
  ])
})

test('a link is what it points to by name, and is not followed', async () => {
  await write({ 'a/b': 'x' })
  await symlink('..', join(folder, 'a/loop'))
  await symlink('nowhere', join(folder, 'broken'))
  const first = await readManifest({ folder, dockerfile: null, signal })
  expect(Object.keys(first)).toEqual(['a/b', 'a/loop', 'broken'])
  await rm(join(folder, 'broken'))
  await symlink('elsewhere', join(folder, 'broken'))
  expect((await readManifest({ folder, dockerfile: null, signal }))['broken']).not.toBe(first['broken'])
})

test('many files', async () => {
  await write(
    Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`f${String(index)}`, String(index)])),
  )
  expect(await paths()).toHaveLength(300)
})

test('ends when asked to', async () => {
  await write({ a: '' })
  await expect(
    readManifest({ folder, dockerfile: null, signal: AbortSignal.abort(new Error('enough')) }),
  ).rejects.toThrow('enough')
})
