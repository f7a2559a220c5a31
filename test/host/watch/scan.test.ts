import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmod,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { compileRules, watchedPart } from '../../../src/host/watch/rules.js'
import { scanHere } from '../../../src/host/watch/scan-here.js'
import { createHashCache, Scanner } from '../../../src/host/watch/scanner.js'
import { createWorld, type World } from './world.js'

const run = promisify(execFile)
const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')

/** What this process has open. */
async function openFiles(): Promise<readonly string[]> {
  const all = await readdir('/proc/self/fd')
  // One of them was opened for the listing, and is gone.
  return await Promise.all(all.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')))
}

let world: World
beforeEach(async () => {
  world = await createWorld()
})

// What is asked for by name is read in this thread where it is little, everything else in the worker: both must agree.
describe.each([
  ['a scan of everything', false],
  ['a scan of named paths', true],
])('%s', (_title, named) => {
  const only = (...paths: readonly string[]): [] | [readonly string[]] => (named ? [paths] : [])

  it('tells each file with its target, hash, mode and time', async () => {
    await chmod(world.at('src/a.py'), 0o755)
    await utimes(world.at('src/a.py'), 1000, 1000)
    await rm(world.at('src/deep'), { recursive: true })
    expect(await world.scan(world.service([{}]), ...only('src/a.py'))).toEqual({
      files: [
        {
          source: world.at('src/a.py'),
          target: '/app/a.py',
          sha256: sha256('a'),
          mode: 0o755,
          modifiedMs: 1_000_000,
          link: null,
        },
      ],
      gone: [],
      refused: [],
    })
  })

  it('delivers a link that stays within the rule’s folder as a link', async () => {
    await symlink('../a.py', world.at('src/deep/link'))
    const { files } = await world.scan(world.service([{}]), ...only('src/deep/link'))
    expect(files.find(({ target }) => target === '/app/deep/link')).toMatchObject({
      link: '../a.py',
      sha256: sha256('link:../a.py'),
    })
  })

  it('refuses by name what cannot be delivered, without waiting for it, and reads the rest', async () => {
    await symlink('../../outside', world.at('src/deep/out'))
    await symlink('/etc/hostname', world.at('src/absolute'))
    await run('mkfifo', [world.at('src/pipe')])
    await run('mknod', [world.at('src/device'), 'c', '1', '5'])
    const server = createServer().listen(world.at('src/socket'))
    await new Promise((resolve) => server.once('listening', resolve))
    const names = ['src/deep/out', 'src/absolute', 'src/pipe', 'src/device', 'src/socket']
    const of = world.service([{}])
    expect(await world.refused(of, ...only(...names, 'src/a.py'))).toEqual({
      'src/deep/out': `it is a link out of ${world.at('src')}, to ../../outside`,
      'src/absolute': 'it is a link to /etc/hostname, which is another place in the container',
      'src/pipe': 'it is a named pipe',
      'src/device': 'it is a device',
      'src/socket': 'it is a socket',
    })
    expect(await world.targets(of, ...only(...names, 'src/a.py'))).toContain('/app/a.py')
    server.close()
  })

  it('reads files whatever their name is', async () => {
    const names = [
      'new\nline',
      '"quote"',
      "it's",
      '-rf',
      ' ',
      '\u2028',
      'x'.repeat(255),
      '#1',
      'a\\b',
      'ü',
      '\uFFFD',
    ]
    for (const name of names) await writeFile(world.at(`src/${name}`), name)
    const { files, refused } = await world.scan(
      world.service([{}]),
      ...only(...names.map((name) => `src/${name}`)),
    )
    const read = new Map(files.map(({ target, sha256 }) => [target, sha256]))
    for (const name of names) expect(read.get(`/app/${name}`)).toBe(sha256(name))
    expect(refused).toEqual([])
  })

  it('refuses a name that is not valid UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${world.at('src')}/bad-`), Buffer.from([0xff])]), 'x')
    expect(await world.refused(world.service([{}]), ...only('src/bad-\uFFFD'))).toEqual({
      'src/bad-\uFFFD': 'its name is not valid UTF-8',
    })
  })

  it('delivers nothing where the rule does not, and where the container has the files by a mount', async () => {
    const files = ['src/a.py', 'src/deep/b.py']
    expect(
      await world.targets(world.service([{ action: 'rebuild', target: null }]), ...only(...files)),
    ).toEqual([null, null])
    const binds = [{ source: world.at('src/deep'), target: '/app/deep' }]
    expect(await world.targets(world.service([{}], { binds }), ...only(...files))).toEqual([
      null,
      '/app/a.py',
    ])
  })

  it('follows what a rule itself names', async () => {
    await symlink('src', world.at('current'))
    await symlink('src/a.py', world.at('config'))
    const of = world.service([
      { path: world.at('current') },
      { path: world.at('config'), target: '/etc/config' },
    ])
    expect(await world.targets(of, ...only('current/a.py', 'config'))).toEqual(
      expect.arrayContaining(['/app/a.py', '/etc/config']),
    )
  })
})

describe('a scan of named paths', () => {
  it('tells which covered paths are gone, and nothing of those that no rule covers', async () => {
    await world.write({ 'other.py': 'x' })
    const asked = ['src/gone.py', 'src/no/folder.py', 'src/a.py/below', 'other.py', 'other-gone.py']
    expect(await world.scan(world.service([{}]), asked)).toEqual({
      files: [],
      gone: ['src/gone.py', 'src/no/folder.py', 'src/a.py/below'].map((path) => world.at(path)),
      refused: [],
    })
  })

  it('tells nothing of a file that a rule leaves out, though folders of that name would be entered', async () => {
    await world.write({ 'src/x.md': 'x' })
    await run('mkfifo', [world.at('src/pipe')])
    const of = world.service([{ include: ['**/*.py'] }])
    expect(await world.scan(of, ['src/x.md', 'src/pipe'])).toEqual({ files: [], gone: [], refused: [] })
    expect(await world.targets(of, ['src/x.md', 'src/a.py'])).toEqual(['/app/a.py'])
  })

  it('reads what is below a folder', async () => {
    expect(await world.targets(world.service([{}]), ['src/deep'])).toEqual(['/app/deep/b.py'])
  })

  it('does not go through a folder that became a link', async () => {
    await rename(world.at('src/deep'), world.at('elsewhere'))
    await symlink('../elsewhere', world.at('src/deep'))
    const { files, gone } = await world.scan(world.service([{}]), ['src/deep/b.py'])
    expect({ files, gone }).toEqual({ files: [], gone: [world.at('src/deep/b.py')] })
  })
})

describe('a scan in this thread', () => {
  it('gives up a file that turns out far larger than it seemed, and closes it', async () => {
    // The kernel says that it is empty, and goes on for longer than anybody reads.
    const path = `/proc/${String(process.pid)}/pagemap`
    expect(scanHere(compileRules(watchedPart(world.service([{ path }]))), [path])).toBeNull()
    expect(await openFiles()).not.toContain(path)
  })
})

describe('a scan of everything', () => {
  it('hashes a file that is far larger than what is read at once', async () => {
    const file = await open(world.at('src/large'), 'w')
    await file.truncate(200 * 1024 * 1024)
    await file.write('end', 200 * 1024 * 1024)
    await file.close()
    const expected = createHash('sha256')
    for (let part = 0; part < 200; part += 1) expected.update(Buffer.alloc(1024 * 1024))
    const hash = expected.update('end').digest('hex')
    const of = world.service([{}])
    for (const { files } of [await world.scan(of), await world.scan(of, ['src/large'])])
      expect(files.find(({ target }) => target === '/app/large')?.sha256).toBe(hash)
  })

  it('sees content that changed without any change of size or time', async () => {
    const of = world.service([{}])
    const hashOf = async () =>
      (await world.scan(of)).files.find(({ target }) => target === '/app/a.py')?.sha256
    for (const text of ['1', '2', '3']) {
      await writeFile(world.at('src/a.py'), text)
      await utimes(world.at('src/a.py'), 5000, 5000)
      expect(await hashOf()).toBe(sha256(text))
    }
  })

  it('ends when it is told to', async () => {
    const scan = world.sources.scan(world.service([{}]), null, AbortSignal.timeout(0))
    await expect(scan).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  it('closes the file that it was reading when it was told to end', async () => {
    await writeFile(world.at('src/large'), Buffer.alloc(1024 * 1024))
    const rules = compileRules(watchedPart(world.service([{ path: world.at('src/large') }])))
    // The first breath is before the file is opened, the second in the middle of it.
    const breaths = [null, Promise.reject(new Error('told to end'))]
    const target = { part: () => undefined, note: () => undefined, covers: () => true }
    const scanner = new Scanner(rules, createHashCache(), target, { take: () => breaths.shift() ?? null })
    await expect(scanner.scan([world.at('src/large')])).rejects.toThrow('told to end')
    expect(await openFiles()).not.toContain(world.at('src/large'))
  })

  it('says nothing of roots that are not there', async () => {
    await mkdir(world.at('empty'))
    const of = world.service([{ path: world.at('missing') }, { path: world.at('empty') }])
    expect(await world.scan(of)).toEqual({ files: [], gone: [], refused: [] })
  })
})
