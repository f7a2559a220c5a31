import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdir, open, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { createWorld, type World } from './world.js'

const run = promisify(execFile)

let world: World
beforeEach(async () => {
  world = await createWorld()
})

describe('a save', () => {
  it('is told at once, and once more when its file rests', async () => {
    const watching = await world.watch(world.service([{}]))
    await writeFile(world.at('src/a.py'), 'new')
    await watching.rest()
    expect(watching.batches).toEqual([
      { paths: ['src/a.py'], settled: false },
      { paths: ['src/a.py'], settled: true },
    ])
  })

  it.each([
    ['in place', async (path: string) => writeFile(path, 'new')],
    ['by adding', async (path: string) => appendFile(path, 'new')],
    [
      'by a temporary file and a rename',
      async (path: string) => {
        await writeFile(`${path}.tmp`, 'new')
        await rename(`${path}.tmp`, path)
      },
    ],
    [
      'by a backup, as vim and Emacs do',
      async (path: string) => {
        await rename(path, `${path}~`)
        await writeFile(path, 'new')
      },
    ],
    [
      'by deleting it first',
      async (path: string) => {
        await rm(path)
        await writeFile(path, 'new')
      },
    ],
    ['by sed -i', async (path: string) => run('sed', ['-i', 's/a/new/', path])],
    [
      'with the same size and times as before',
      async (path: string) => {
        await utimes(path, 5000, 5000)
        await writeFile(path, 'n')
        await utimes(path, 5000, 5000)
      },
    ],
  ])('%s is told at once', async (_title, save) => {
    const watching = await world.watch(world.service([{}]))
    await save(world.at('src/a.py'))
    await watching.rest()
    expect(watching.batches.filter(({ settled }) => !settled).flatMap(({ paths }) => paths)).toContain(
      'src/a.py',
    )
    expect(watching.told()).not.toContain('src/a.py~')
  })

  it('that empties the file first is told at once when it has content again', async () => {
    const watching = await world.watch(world.service([{}]))
    const file = await open(world.at('src/a.py'), 'w')
    await new Promise((resolve) => setImmediate(resolve))
    await file.write('new')
    await file.close()
    await watching.rest()
    expect(watching.batches[0]).toEqual({ paths: ['src/a.py'], settled: false })
  })

  it('under a name that is no UTF-8 is told, so that it can be refused by name', async () => {
    const watching = await world.watch(world.service([{}]))
    const name = Buffer.concat([Buffer.from(`${world.at('src')}/latin-`), Buffer.from([0xe9])])
    await writeFile(name, 'x')
    await expect.poll(() => watching.told()).toEqual(['src/latin-\uFFFD'])
    expect(await world.refused(world.service([{}]), ['src/latin-\uFFFD'])).toEqual({
      'src/latin-\uFFFD': 'its name is not valid UTF-8',
    })
  })

  it('of an empty file is told too', async () => {
    const watching = await world.watch(world.service([{}]))
    await writeFile(world.at('src/__init__.py'), '')
    await watching.rest()
    expect(watching.told()).toEqual(['src/__init__.py'])
  })
})

describe('a burst', () => {
  it('sends a few files ahead and the rest together', async () => {
    const watching = await world.watch(world.service([{}]))
    const names = Array.from({ length: 500 }, (_, index) => `src/n${String(index)}.py`)
    for (const name of names) await writeFile(world.at(name), name)
    await watching.rest()
    expect(watching.batches.at(-1)?.settled).toBe(true)
    expect(new Set(watching.batches.at(-1)?.paths)).toEqual(new Set(names))
    const ahead = watching.batches.slice(0, -1).flatMap(({ paths }) => paths)
    expect(ahead.length).toBeGreaterThan(0)
    expect(ahead.length).toBeLessThan(100)
  })

  it('of thousands of files in new folders loses none', async () => {
    const watching = await world.watch(world.service([{}]))
    const names = Array.from(
      { length: 3000 },
      (_, index) => `src/d${String(index % 100)}/x/${String(index)}.py`,
    )
    await world.write(Object.fromEntries(names.map((name) => [name, name])))
    while (new Set(watching.told()).size < names.length) await watching.rest()
    expect(new Set(watching.told())).toEqual(new Set(names))
  })

  it('is told in the order of its changes', async () => {
    const watching = await world.watch(world.service([{}]))
    for (const name of ['c', 'a', 'b']) await writeFile(world.at(`src/${name}.py`), name)
    await watching.rest()
    expect(watching.told()).toEqual(['src/c.py', 'src/a.py', 'src/b.py'])
  })

  it('waits as one batch for a reader that is busy', async () => {
    const controller = new AbortController()
    const seen: string[][] = []
    for await (const { paths } of world.sources.watch([world.service([{}])], () => {}, controller.signal)) {
      seen.push([...paths])
      if (seen.length === 1) {
        for (const name of ['x', 'y', 'z']) {
          await writeFile(world.at(`src/${name}`), name)
          await new Promise((resolve) => setTimeout(resolve, 60))
        }
      } else controller.abort()
    }
    expect(seen[1]).toEqual(['x', 'y', 'z'].map((name) => world.at(`src/${name}`)))
  })
})

describe('what is not told', () => {
  it('is a file that came and went, and what no rule covers', async () => {
    const watching = await world.watch(world.service([{ ignore: ['*.log'] }]))
    await writeFile(world.at('src/passing'), 'x')
    await rm(world.at('src/passing'))
    await world.write({ 'src/a.log': 'x', 'other/a.py': 'x', 'src/.a.py.swp': 'x' })
    await writeFile(world.at('src/last'), 'x')
    await watching.rest()
    expect(watching.told().filter((path) => path !== 'src/passing')).toEqual(['src/last'])
  })
})

describe('folders', () => {
  const change = async (act: () => Promise<unknown>): Promise<readonly string[]> => {
    const watching = await world.watch(world.service([{}]))
    await act()
    await watching.rest()
    await watching.end()
    return [...watching.told()].sort()
  }

  it('that are renamed are told by their files, the old and the new', async () => {
    expect(await change(async () => rename(world.at('src/deep'), world.at('src/moved')))).toEqual([
      'src/deep/b.py',
      'src/moved/b.py',
    ])
  })

  it('that are deleted are told by their files', async () => {
    expect(await change(async () => rm(world.at('src/deep'), { recursive: true }))).toEqual(['src/deep/b.py'])
  })

  it('that move in from outside are told by their files', async () => {
    await world.write({ 'outside/x/c.py': 'c' })
    expect(await change(async () => rename(world.at('outside'), world.at('src/inside')))).toEqual([
      'src/inside/x/c.py',
    ])
  })

  it('that are swapped for others are watched as what they are now', async () => {
    await world.write({ 'src/other/b.py': 'other', 'src/other/c.py': 'c' })
    const watching = await world.watch(world.service([{}]))
    await rename(world.at('src/deep'), world.at('src/tmp'))
    await rename(world.at('src/other'), world.at('src/deep'))
    await rename(world.at('src/tmp'), world.at('src/other'))
    await watching.rest()
    await writeFile(world.at('src/deep/new.py'), 'x')
    await writeFile(world.at('src/other/new.py'), 'x')
    await watching.rest()
    expect(watching.told()).toEqual(
      expect.arrayContaining(['src/deep/b.py', 'src/deep/c.py', 'src/deep/new.py', 'src/other/new.py']),
    )
  })

  it('whose rights alone change are no news', async () => {
    const told = await change(async () => {
      await chmod(world.at('src/deep'), 0o700)
      await writeFile(world.at('src/last'), '')
    })
    expect(told).toEqual(['src/last'])
  })
})

describe('what a rule names', () => {
  it('may come later, with the folders above it', async () => {
    const watching = await world.watch(world.service([{ path: world.at('one/two/three') }]))
    await world.write({ 'one/two/three/c.py': 'c' })
    await watching.rest()
    await writeFile(world.at('one/two/three/d.py'), 'd')
    await watching.rest()
    expect(watching.told()).toEqual(['one/two/three/c.py', 'one/two/three/d.py'])
  })

  it('may come while the folders above it are only just found', async () => {
    // So many that one of them comes between a look and the watch that follows it.
    const names = Array.from({ length: 20 }, (_, index) => `n${String(index).padStart(2, '0')}`)
    const roots = names.map((name) => `${name}/a/b/c/d/e/f/g/h`)
    const watching = await world.watch(world.service(roots.map((path) => ({ path: world.at(path) }))))
    const files = roots.map((path) => `${path}/file`)
    for (const file of files) await world.write({ [file]: 'x' })
    while (watching.told().length < files.length) await watching.rest()
    expect([...watching.told()].sort()).toEqual(files)
  })

  it('may go and come back, as with another branch', async () => {
    const watching = await world.watch(world.service([{}]))
    await rm(world.at('src'), { recursive: true })
    await watching.rest()
    expect([...watching.told()].sort()).toEqual(['src/a.py', 'src/deep/b.py'])
    await world.write({ 'src/deep/c.py': 'c' })
    await watching.rest()
    await writeFile(world.at('src/deep/c.py'), 'cc')
    await watching.rest()
    expect(watching.batches.at(-1)?.paths).toEqual(['src/deep/c.py'])
  })

  it('may be a single file, replaced by a rename, gone, and made again', async () => {
    await world.write({ 'requirements.txt': 'flask' })
    const watching = await world.watch(
      world.service([{ path: world.at('requirements.txt'), action: 'rebuild', target: null }]),
    )
    await writeFile(world.at('other.txt'), 'no rule covers it')
    for (const act of [
      async () => {
        await writeFile(world.at('.tmp'), 'flask==3')
        await rename(world.at('.tmp'), world.at('requirements.txt'))
      },
      async () => rm(world.at('requirements.txt')),
      async () => writeFile(world.at('requirements.txt'), 'flask'),
    ]) {
      const before = watching.batches.length
      await act()
      await watching.rest()
      expect(new Set(watching.batches.slice(before).flatMap(({ paths }) => paths))).toEqual(
        new Set(['requirements.txt']),
      )
    }
  })

  it('may be a folder that becomes a file, and a link that leads elsewhere', async () => {
    await world.write({ 'v1/x.py': '1', 'v2/x.py': '2' })
    await symlink('v1', world.at('current'))
    const watching = await world.watch(world.service([{ path: world.at('current') }]))
    await rm(world.at('current'))
    await symlink('v2', world.at('current'))
    await watching.rest()
    expect(watching.told()).toContain('current/x.py')
    await rm(world.at('current'))
    await writeFile(world.at('current'), 'file')
    await watching.rest()
    expect(watching.told()).toContain('current')
  })
})

describe('an edit of the ignore file', () => {
  it('holds also where a look was made before its event came', async () => {
    await world.write({ '.dockerignore': 'src/deep\n' })
    const build = {
      context: world.folder,
      dockerfile: world.at('Dockerfile'),
      target: null,
      args: {},
      hash: '',
    }
    const of = world.service([{}], { build })
    const watching = await world.watch(of)
    const scan = world.targets(of)
    writeFileSync(world.at('.dockerignore'), '')
    expect(await scan).toEqual(['/app/a.py', '/app/deep/b.py'])
    await world.write({ 'src/deep/later.py': 'x' })
    while (!watching.told().includes('src/deep/later.py')) await watching.rest()
  })

  it('holds at once: for what it lets through now, and what it leaves out', async () => {
    await world.write({ '.dockerignore': 'src/deep\n' })
    const build = {
      context: world.folder,
      dockerfile: world.at('Dockerfile'),
      target: null,
      args: {},
      hash: '',
    }
    const of = world.service([{}], { build })
    const watching = await world.watch(of)
    expect(await world.targets(of)).toEqual(['/app/a.py'])
    await writeFile(world.at('.dockerignore'), 'src/a.py\n')
    await watching.rest()
    expect(watching.told()).toEqual(['src/deep/b.py'])
    expect(await world.targets(of)).toEqual(['/app/deep/b.py'])
    expect(await world.targets(of, ['src/a.py'])).toEqual([])
    await writeFile(world.at('src/a.py'), 'left out')
    await writeFile(world.at('src/deep/b.py'), 'let through')
    await watching.rest()
    expect(watching.told()).toEqual(['src/deep/b.py'])
  })
})

describe('a look by stat', () => {
  it('finds what no watch told, once', async () => {
    const of = world.service([{}])
    await world.scan(of)
    await writeFile(world.at('src/a.py'), 'new')
    await rm(world.at('src/deep'), { recursive: true })
    await world.write({ 'src/more/c.py': 'c' })
    const look = async () => [...(await world.sources.recheck(of, world.signal))].sort()
    expect(await look()).toEqual(['src/a.py', 'src/deep/b.py', 'src/more/c.py'].map((path) => world.at(path)))
    expect(await look()).toEqual([])
  })

  it('finds everything where nothing was looked at before', async () => {
    expect(await world.sources.recheck(world.service([{}]), world.signal)).toHaveLength(2)
  })

  it('has nothing to say of a save that was told, and of one that was read', async () => {
    const of = world.service([{}])
    const watching = await world.watch(of)
    await writeFile(world.at('src/a.py'), 'new')
    await watching.rest()
    expect(await world.sources.recheck(of, world.signal)).toEqual([])
    await writeFile(world.at('src/a.py'), 'newer')
    await world.scan(of, ['src/a.py'])
    expect(await world.sources.recheck(of, world.signal)).toEqual([])
  })

  it('does not take an edit before the watch for old', async () => {
    const of = world.service([{}])
    await world.scan(of)
    await writeFile(world.at('src/a.py'), 'between')
    const watching = await world.watch(of)
    if (watching.batches.every(({ settled }) => !settled)) await watching.rest()
    expect(watching.told()).toEqual(['src/a.py'])
  })

  it('says no more than once that something cannot be delivered', async () => {
    const of = world.service([{}])
    await world.scan(of)
    await symlink('/etc', world.at('src/etc'))
    const found = await world.sources.recheck(of, world.signal)
    expect(found).toEqual([world.at('src/etc')])
    await world.sources.scan(of, found, world.signal)
    expect(await world.sources.recheck(of, world.signal)).toEqual([])
  })
})

describe('a watch', () => {
  it('ends when it is told to', async () => {
    const watching = await world.watch(world.service([{}]))
    await watching.end()
  })

  it('of nothing is in place at once', async () => {
    await (await world.watch()).end()
  })

  it('of two services tells what either covers', async () => {
    await mkdir(world.at('web'))
    const watching = await world.watch(
      world.service([{}]),
      world.service([{ path: world.at('web') }], { name: 'web' }),
    )
    await writeFile(world.at('web/x.ts'), 'x')
    await writeFile(world.at('src/a.py'), 'x')
    await watching.rest()
    expect(watching.told()).toEqual(['web/x.ts', 'src/a.py'])
  })
})
