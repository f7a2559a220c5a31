import { appendFile, chmod, mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { WatchRule } from '../../../src/core/project.js'
import { createSourceTree } from '../../../src/host/watch/tree.js'
import { createFileWatcher } from '../../../src/host/watch/watcher.js'
import { service } from '../../core/builders.js'

let folder: string
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'devstack-watch-')))
  await mkdir(join(folder, 'src/deep'), { recursive: true })
  await writeFile(join(folder, 'src/a.py'), 'a')
  await writeFile(join(folder, 'src/deep/b.py'), 'b')
})
afterEach(async () => rm(folder, { recursive: true }))

const signal = new AbortController().signal
const sync = (more: Partial<WatchRule> = {}): WatchRule => ({
  action: 'sync',
  path: join(folder, 'src'),
  target: '/app',
  ignore: [],
  include: [],
  ...more,
})

describe('the source tree', () => {
  const targets = async (rules: readonly WatchRule[], paths: readonly string[] | null = null) =>
    (await createSourceTree().scan(service('api', [], { watch: rules }), paths, signal)).map(
      (file) => file.target,
    )

  it('reads every file that a rule covers, with its target, hash and mode', async () => {
    await chmod(join(folder, 'src/a.py'), 0o755)
    const [file] = await createSourceTree().scan(
      service('api', [], { watch: [sync()] }),
      [join(folder, 'src/a.py')],
      signal,
    )
    expect(file).toEqual({
      source: join(folder, 'src/a.py'),
      target: '/app/a.py',
      sha256: 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb',
      mode: 0o755,
    })
    expect(await targets([sync()])).toEqual(['/app/a.py', '/app/deep/b.py'])
  })

  it("leaves out what a rule ignores, and editors' own files", async () => {
    for (const name of ['.a.py.swp', 'a.py~', '4913', '.#a.py'])
      await writeFile(join(folder, 'src', name), '')
    expect(await targets([sync({ ignore: ['deep/'] })])).toEqual(['/app/a.py'])
  })

  it('leaves out what the .dockerignore of the build context excludes', async () => {
    await writeFile(join(folder, '.dockerignore'), 'src/deep\n')
    const build = {
      context: folder,
      dockerfile: join(folder, 'Dockerfile'),
      target: null,
      args: {},
      hash: '',
    }
    const files = await createSourceTree().scan(service('api', [], { watch: [sync()], build }), null, signal)
    expect(files.map((file) => file.target)).toEqual(['/app/a.py'])
  })

  it('does not follow symbolic links', async () => {
    await symlink('/etc', join(folder, 'src/etc'))
    await symlink('/etc/hostname', join(folder, 'src/name'))
    expect(await targets([sync()])).toEqual(['/app/a.py', '/app/deep/b.py'])
  })

  it('says nothing of files that are gone, or that no delivering rule covers', async () => {
    expect(await targets([sync()], [join(folder, 'src/gone.py'), join(folder, 'other.py')])).toEqual([])
    expect(await targets([sync({ action: 'rebuild', target: null })])).toEqual([])
  })
})

describe('the file watcher', () => {
  /** Starts to watch, runs `act` once it does, and gives the batches until `enough`. */
  async function watched(act: () => Promise<unknown>, enough: (paths: readonly string[]) => boolean) {
    const controller = new AbortController()
    const batches: (readonly string[])[] = []
    const probe = join(folder, 'src/probe')
    const reading = (async () => {
      const never = (path: string): boolean => path.endsWith('ignored.py')
      for await (const batch of createFileWatcher().watch([join(folder, 'src')], never, controller.signal)) {
        batches.push(batch)
        if (enough(batches.flat())) controller.abort()
      }
    })()
    // Written until it is seen: then the watcher watches.
    while (batches.length === 0) {
      await appendFile(probe, '.')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await new Promise((resolve) => setTimeout(resolve, 250))
    batches.length = 0
    await act()
    await reading
    return batches.map((batch) => batch.map((path) => path.slice(folder.length + 5)))
  }

  it('tells the first change at once and gathers the burst behind it', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `n${String(index)}.py`)
    const batches = await watched(
      async () => Promise.all(names.map(async (name) => writeFile(join(folder, 'src', name), name))),
      (paths) => new Set(paths).size >= 20,
    )
    expect(batches[0]).toHaveLength(1)
    expect(batches.length).toBeLessThanOrEqual(4)
    expect(new Set(batches.flat())).toEqual(new Set(names))
  })

  it('sees a save by temporary file and rename, a delete, and a new folder; not what is ignored', async () => {
    const seen = await watched(
      async () => {
        await writeFile(join(folder, 'src/ignored.py'), 'x')
        await writeFile(join(folder, 'src/.tmp'), 'new')
        await rename(join(folder, 'src/.tmp'), join(folder, 'src/a.py'))
        await rm(join(folder, 'src/deep/b.py'))
        await mkdir(join(folder, 'src/more'))
        await writeFile(join(folder, 'src/more/c.py'), 'c')
      },
      (paths) =>
        ['a.py', 'deep/b.py', 'more/c.py'].every((name) => paths.includes(join(folder, 'src', name))),
    )
    expect(seen.flat()).not.toContain('ignored.py')
  })

  it('ends when it is told to', async () => {
    const controller = new AbortController()
    const reading = (async () => {
      for await (const batch of createFileWatcher().watch([folder], () => false, controller.signal))
        expect(batch).toEqual([])
    })()
    controller.abort()
    await reading
  })
})
