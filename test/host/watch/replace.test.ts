import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { replaceFile } from '../../../src/host/watch/replace.js'

const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), 'devstack-replace-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

it('replaces a file in one step, keeps its mode, and leaves nothing beside it', async () => {
  const at = await folder()
  const path = join(at, 'lock.json')
  await writeFile(path, 'old')
  await chmod(path, 0o600)
  const before = await stat(path)
  await replaceFile(path, Buffer.from('new'))
  const after = await stat(path)
  expect(await readFile(path, 'utf8')).toBe('new')
  expect(after.mode).toBe(before.mode)
  expect(after.ino).not.toBe(before.ino)
  expect(await readdir(at)).toEqual(['lock.json'])
})

it('makes one that was not there', async () => {
  const path = join(await folder(), 'lock.json')
  await replaceFile(path, Buffer.from('new'))
  expect(await readFile(path, 'utf8')).toBe('new')
})

it('leaves the old one where the new one cannot be written', async () => {
  const at = await folder()
  const path = join(at, 'lock.json')
  await writeFile(path, 'old')
  await writeFile(`${path}.devstack~`, 'somebody else')
  await expect(replaceFile(path, Buffer.from('new'))).rejects.toThrow('EEXIST')
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readFile(`${path}.devstack~`, 'utf8')).toBe('somebody else')
})

it('leaves nothing of its own where the disk takes only a part of the new one', async () => {
  const at = await folder()
  const path = join(at, 'lock.json')
  await writeFile(path, 'old')
  const source = join(import.meta.dirname, '../../../src/host/watch/replace.ts')
  const script = `
    import { replaceFile } from ${JSON.stringify(source)}
    await replaceFile(${JSON.stringify(path)}, Buffer.alloc(64 * 1024)).catch(({ code }) => console.log(code))`
  // A limit on the size of files, as a full disk: the first part is written, the next one is refused.
  const limited = ['--fsize=4096', process.execPath, '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)('prlimit', limited)
  expect(stdout.trim()).toBe('EFBIG')
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(at)).toEqual(['lock.json'])
})
