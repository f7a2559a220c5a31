import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { KEYS, PtyTerminal } from '../pty/terminal.js'
import { onEngine } from './on-engine.js'
import { idle, launcher, makePlace, type Place } from './support.js'

// The terminal UI on a real stack, in a pseudo terminal: what a person sees, what the keys do, how the terminal is left.

const RESTORED = { restored: true, modes: 'icanon echo' }
const files = {
  'compose.yaml': `services:
  db:${idle()}
  app:${idle('\n    depends_on: { db: { condition: service_healthy } }')}
`,
}

onEngine('devstack up in a terminal', () => {
  let place: Place
  const open: PtyTerminal[] = []
  beforeEach(async () => {
    place = await makePlace(files)
    // Has the program built where its sources are newer: below it is run without the launcher, whose shell would get
    // the signals.
    expect((await place.devstack(['version'])).code).toBe(0)
  })
  afterEach(async () => {
    for (const terminal of open.splice(0)) terminal.close()
    await place[Symbol.asyncDispose]()
  })

  const devstack = (verb: string): PtyTerminal => {
    const program = join(dirname(launcher), 'dist/main.js')
    const env = { XDG_STATE_HOME: place.env['XDG_STATE_HOME'] ?? '' }
    const terminal = new PtyTerminal(program, ['--cwd', place.folder, verb], { columns: 80, rows: 24 }, env)
    open.push(terminal)
    return terminal
  }
  const states = async (): Promise<readonly string[]> =>
    (await place.containers()).map(({ service, state }) => `${service} ${state}`)

  it('names the services and gets ready; d detaches, attach comes back, and q leaves all running', async () => {
    const up = devstack('up')
    await up.eventually((text) => text.includes('db') && text.includes('app'), 'the services')
    expect(up.isAlternate()).toBe(true)
    await up.shows('ready in')
    expect(up.text()).toMatch(/● db +healthy/)
    expect(up.text()).toMatch(/● app +healthy/)
    up.press('d')
    expect(await up.over()).toEqual({ exit: 0, ...RESTORED })
    expect(up.text()).toContain('2 services keep running')
    expect(await states()).toEqual(['app running', 'db running'])

    const attach = devstack('attach')
    await attach.shows('q detach')
    expect(attach.text()).toMatch(/● app +healthy/)
    attach.press('q')
    expect(await attach.over()).toEqual({ exit: 0, ...RESTORED })
    expect(await states()).toEqual(['app running', 'db running'])
  })

  it('stops everything on Ctrl-C, with 130 and the terminal as it was', async () => {
    const up = devstack('up')
    await up.shows('ready in')
    up.press(KEYS.ctrlC)
    expect(await up.over()).toEqual({ exit: 130, ...RESTORED })
    expect(await states()).toEqual(['app exited', 'db exited'])
    expect(await place.sessionPid()).toBeNull()
  })

  it('stops what this run started on Ctrl-C while it comes up', async () => {
    await place.write('compose.yaml', files['compose.yaml'].replace("[CMD, 'true']", "[CMD, 'false']"))
    const up = devstack('up')
    await up.eventually((text) => /db +starting/.test(text), 'db starting')
    up.press(KEYS.ctrlC)
    expect(await up.over()).toEqual({ exit: 130, ...RESTORED })
    expect((await states()).filter((state) => state.endsWith('running'))).toEqual([])
  })

  it('harms nothing when it is killed: the stack runs on, and the next one joins it', async () => {
    const up = devstack('up')
    await up.shows('ready in')
    await up.signalProgram('SIGKILL')
    expect((await up.over()).exit).toBe(137)
    expect(await states()).toEqual(['app running', 'db running'])
    const session = await place.sessionPid()
    const again = devstack('up')
    await again.shows('nothing to do')
    expect(await place.sessionPid()).toBe(session)
    again.press('d')
    expect(await again.over()).toEqual({ exit: 0, ...RESTORED })
  })
})
