import { tmpdir } from 'node:os'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/main.js'

/** What a command line prints on stdout and stderr, and its exit code. */
async function run(
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const texts = { out: '', err: '' }
  const stream = (name: 'out' | 'err'): NodeJS.WriteStream =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        texts[name] += chunk.toString()
        done()
      },
    }) as unknown as NodeJS.WriteStream
  const code = await main(argv, {
    env: { HOME: tmpdir() },
    cwd: '/',
    stdin: process.stdin,
    stdout: stream('out'),
    stderr: stream('err'),
  })
  return { code, ...texts }
}

const { out: help } = await run('help')
const verbs = [...help.matchAll(/^ {2}([a-z]+) .*?(?:\[|<|\s{2})/gm)]
  .map(([, verb]) => verb ?? '')
  .filter((verb) => verb !== 'help' && verb !== 'devstack')

describe('the command line', () => {
  it('has every verb of the contract', () => {
    expect(verbs.toSorted((a, b) => a.localeCompare(b))).toEqual([
      'approve',
      'attach',
      'bootstrap',
      'compare',
      'completion',
      'config',
      'doctor',
      'down',
      'exec',
      'images',
      'init',
      'logs',
      'ls',
      'open',
      'rebuild',
      'record',
      'restart',
      'shell',
      'start',
      'status',
      'stop',
      'up',
      'version',
      'wait',
      'why',
    ])
  })

  it.each(verbs.filter((verb) => verb !== 'version'))('%s has help with an example', async (verb) => {
    const { code, out } = await run(verb, '--help')
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`Examples?:\n  .*devstack ${verb}`))
  })

  it('prints its version by flag and by verb', async () => {
    expect((await run('--version')).out).toBe((await run('version')).out)
  })

  it('exits 2 on a verb or flag that is not there, and suggests the nearest', async () => {
    expect(await run('statsu')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Did you mean status?') as string,
    })
    expect((await run('up', '--detahc')).code).toBe(2)
  })

  it('exits 2 outside of a project, with what to try', async () => {
    expect(await run('status')).toMatchObject({
      code: 2,
      err: expect.stringContaining('devstack init') as string,
    })
  })

  it('says an expected failure as JSON too where JSON was asked for', async () => {
    const { code, out } = await run('status', '--json')
    expect(code).toBe(2)
    expect(JSON.parse(out)).toMatchObject({ type: 'failed', code: 'PROJECT_NOT_FOUND' })
  })

  it.each(['bash', 'zsh', 'fish'])('completes every verb in %s', async (shell) => {
    const { out } = await run('completion', shell)
    for (const verb of verbs) expect(out).toContain(verb)
  })
})
