import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { GATE_SCRIPT, throughGate, withoutGate } from '../../../../src/engines/kind/objects/gate.js'

const shells = [['dash'], ['bash', '--posix'], ['busybox', 'sh']].filter(([program = '']) =>
  ['/bin', '/usr/bin'].some((folder) => existsSync(join(folder, program))),
)

interface Gate {
  readonly run: string
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string }>
}

/** The script as a container would run it, with a folder of its own. */
function start(
  shell: readonly string[],
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  prepare: (run: string) => void = () => undefined,
): Gate {
  const folder = mkdtempSync(join(tmpdir(), 'ds-gate-'))
  const run = join(folder, 'run')
  mkdirSync(run)
  prepare(run)
  const script = join(folder, 'gate')
  writeFileSync(script, GATE_SCRIPT)
  const [program = 'sh', ...options] = shell
  const child = spawn(program, [...options, script, 'api', ...argv], {
    env: { PATH: process.env['PATH'] ?? '', DEVSTACK_RUN: run, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout }))
  onTestFinished(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  return { run, child, ended }
}

async function untilThere(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(5)
}

test('there is a shell to try it with', () => {
  expect(shells).not.toEqual([])
})

describe.each(shells.map((shell) => ({ name: shell.join(' '), shell })))('the gate in $name', ({ shell }) => {
  const program = ['sh', '-c', 'echo "began with $# words: $*"; exit 7', 'sh', 'a b', '$HOME', '*']

  test('waits, says so, and becomes the program with its words as they are', async () => {
    const { run, ended } = start(shell, program)
    await untilThere(join(run, 'api.waiting'))
    writeFileSync(join(run, 'api.go'), '')
    expect(await ended).toEqual({ code: 7, stdout: 'began with 3 words: a b $HOME *\n' })
    expect(readdirSync(run)).toEqual([])
  })

  test('is the very process that the program becomes', async () => {
    const { run, child, ended } = start(shell, ['sh', '-c', 'echo $$'])
    await untilThere(join(run, 'api.waiting'))
    writeFileSync(join(run, 'api.go'), '')
    expect((await ended).stdout).toBe(`${String(child.pid)}\n`)
  })

  test('does not take what an earlier run left for its own', async () => {
    const { run, child, ended } = start(shell, ['echo', 'began'], {}, (folder) => {
      writeFileSync(join(folder, 'api.go'), '')
    })
    await untilThere(join(run, 'api.waiting'))
    expect(existsSync(join(run, 'api.go'))).toBe(false)
    expect(child.exitCode).toBeNull()
    writeFileSync(join(run, 'api.go'), '')
    expect((await ended).stdout).toBe('began\n')
  })

  test('opens by itself when its time is over', async () => {
    const { run, ended } = start(shell, ['echo', 'began'], { DEVSTACK_GATE_SECONDS: '1' })
    expect(await ended).toEqual({ code: 0, stdout: 'began\n' })
    expect(readdirSync(run)).toEqual([])
  })

  test('does not wait where its time is none', async () => {
    expect((await start(shell, ['echo', 'began'], { DEVSTACK_GATE_SECONDS: '0' }).ended).stdout).toBe(
      'began\n',
    )
  })

  test.each(['x', '010', '-1', '1e3', '99999'])('waits ten seconds where its time is %s', async (seconds) => {
    const { run, child } = start(shell, ['echo', 'began'], { DEVSTACK_GATE_SECONDS: seconds })
    await untilThere(join(run, 'api.waiting'))
    expect(child.exitCode).toBeNull()
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGWINCH'] as const)(
    'ends at once on %s, and leaves nothing',
    async (signal) => {
      const { run, child, ended } = start(shell, ['echo', 'began'])
      await untilThere(join(run, 'api.waiting'))
      child.kill(signal)
      expect(await ended).toEqual({ code: 143, stdout: '' })
      expect(readdirSync(run)).toEqual([])
    },
  )

  test('the program answers signals by itself', async () => {
    const { run, child, ended } = start(shell, [
      'sh',
      '-c',
      'trap "exit 3" TERM; echo ready; while :; do sleep 0.01; done',
    ])
    await untilThere(join(run, 'api.waiting'))
    writeFileSync(join(run, 'api.go'), '')
    await once(child.stdout ?? child, 'data')
    child.kill('SIGTERM')
    expect((await ended).code).toBe(3)
  })

  test('a variable of the program is not changed', async () => {
    const words = { name: 'n', run: 'r', seconds: 's', left: 'l', pause: 'p', status: 'x' }
    const print = Object.keys(words).map((key) => `$${key}`)
    const { run, ended } = start(shell, ['sh', '-c', `echo ${print.join(' ')}`], words)
    await untilThere(join(run, 'api.waiting'))
    writeFileSync(join(run, 'api.go'), '')
    expect((await ended).stdout).toBe('n r s l p x\n')
  })

  test('waits by whole seconds where sleep knows no fractions', async () => {
    const bin = fakeSleep('case $1 in *.*) exit 1;; esac; exec /bin/sleep 0.01')
    const { run, ended } = start(shell, ['echo', 'began'], { PATH: bin, DEVSTACK_GATE_SECONDS: '2' })
    await untilThere(join(run, 'api.waiting'))
    expect((await ended).stdout).toBe('began\n')
  })

  test('does not wait where there is no sleep', async () => {
    const { ended } = start(shell, ['echo', 'began'], {
      PATH: fakeSleep('exit 127'),
      DEVSTACK_GATE_SECONDS: '9999',
    })
    expect((await ended).stdout).toBe('began\n')
  })

  test('does not wait where nobody could see that it waits', async () => {
    const forLong = { DEVSTACK_GATE_SECONDS: '9999' }
    const { ended } = start(shell, ['echo', 'began'], forLong, (run) => rmSync(run, { recursive: true }))
    expect((await ended).stdout).toBe('began\n')
  })

  test('a program that is not there ends it with 127', async () => {
    expect((await start(shell, ['/not/there'], { DEVSTACK_GATE_SECONDS: '0' }).ended).code).toBe(127)
  })
})

/** A folder of programs in which `sleep` is this. */
function fakeSleep(body: string): string {
  const bin = mkdtempSync(join(tmpdir(), 'ds-gate-bin-'))
  onTestFinished(() => rmSync(bin, { recursive: true, force: true }))
  writeFileSync(join(bin, 'sleep'), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  accessSync(join(bin, 'sleep'))
  return `${bin}:${process.env['PATH'] ?? ''}`
}

test('what stands behind a gate can be had back', () => {
  const command = { command: ['python', '-m', 'x'], args: ['y'] }
  expect(withoutGate(throughGate('api', command))).toEqual(command)
  expect(withoutGate(throughGate('api', { command: null, args: ['y'] }))).toEqual({
    command: null,
    args: ['y'],
  })
  expect(withoutGate({ command: ['/bin/sh', 'x'], args: null })).toEqual({
    command: ['/bin/sh', 'x'],
    args: null,
  })
})
