import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { bundleFixture, KEYS, PtyTerminal } from './terminal.js'

const SIZE = { columns: 80, rows: 24 }
const RESTORED = { restored: true, modes: 'icanon echo' }

let fixture: Awaited<ReturnType<typeof bundleFixture>>
let open: PtyTerminal[] = []

beforeAll(async () => {
  fixture = await bundleFixture()
}, 60_000)
afterAll(async () => {
  await fixture.remove()
})
afterEach(() => {
  for (const terminal of open) terminal.close()
  open = []
})

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}, size = SIZE): PtyTerminal {
  const terminal = new PtyTerminal(fixture.program, args, size, env)
  open.push(terminal)
  return terminal
}

/** The header is in the first row, the footer in the last but one, and nothing scrolled. */
function expectWhole(terminal: PtyTerminal): void {
  const rows = terminal.rows()
  expect(rows[0]).toMatch(/^ devstack {2}shop/u)
  expect(rows.at(-2)).toMatch(/\? help$/u)
  expect(rows.at(-1)).toBe('')
  expect(rows.filter((row) => row.startsWith(' devstack '))).toHaveLength(1)
  expect(rows.filter((row) => row.endsWith('? help'))).toHaveLength(1)
}

describe('the screen', () => {
  test('names the services on the alternate screen; d leaves a summary on the normal one', async () => {
    const terminal = run(['ready'])
    await terminal.shows('? help')
    expect(terminal.isAlternate()).toBe(true)
    expectWhole(terminal)
    expect(terminal.text()).toContain(
      'ready in 9.2 s: elasticsearch 5.1 -> migrate 0.9 -> api 2.1 -> nginx 0.6',
    )
    terminal.press('d')
    expect(await terminal.over()).toEqual({ exit: 0, ...RESTORED })
    const left = terminal.text()
    expect(left).toMatch(/^http:\/\/127\.0\.0\.1:8080\nready in 9\.2 s: /u)
    expect(left).toContain('6 services keep running.')
    expect(left).not.toContain('SERVICE')
  })

  test('keys select, show logs, ask for a restart and open the address', async () => {
    const terminal = run(['busy'])
    await terminal.shows('? help')
    terminal.press(KEYS.down, KEYS.down)
    await terminal.shows('›2 ● api')
    await terminal.shows('─ api ─ logs')
    await terminal.shows('GET /api/products?page=40')
    terminal.press(KEYS.enter, KEYS.pageUp)
    await terminal.shows('paused')
    terminal.press('f')
    await terminal.shows('following')
    terminal.press('r')
    await terminal.shows('restarting api')
    terminal.press('o')
    await terminal.shows('opening http://127.0.0.1:8080')
    terminal.press('?')
    await terminal.shows('The selected service')
    terminal.press(KEYS.escape)
    await terminal.shows('─ api ─ logs')
    expect(await terminal.recorded()).toEqual([
      'intent {"type":"restart","services":["api"]}',
      'open http://127.0.0.1:8080',
    ])
  })

  test('tells why, and lets go what waits for a person', async () => {
    const terminal = run(['held'])
    await terminal.shows('? compose.yaml changed: recreate api  [y] apply  [v] view, 1 more')
    expectWhole(terminal)
    terminal.press('v')
    await terminal.shows('recreate api: env changed: FLASK_ENV')
    terminal.press(KEYS.escape, KEYS.down, KEYS.down, 'w')
    await terminal.shows('─ api ─ why')
    await terminal.shows('delivered +7 ms (1 file, 3.1 kB)')
    terminal.press('y')
    await terminal.shows('214 of 230 watched')
    await terminal.shows('approved: compose.yaml changed: recreate api')
    expect(await terminal.recorded()).toEqual(['intent {"type":"approve","hold":"plan-2"}'])
  })

  test('fits again after every resize', async () => {
    const terminal = run(['busy', 'up', '50'])
    await terminal.shows('? help')
    for (const [columns, rows] of [
      [120, 40],
      [50, 18],
      [100, 12],
      [80, 24],
      [200, 50],
      [41, 9],
    ] as const) {
      terminal.resize(columns, rows)
      await terminal.eventually(
        (text) => {
          const seen = text.split('\n')
          return seen[0]?.startsWith(' devstack ') === true && seen[rows - 2]?.endsWith('? help') === true
        },
        `a whole frame at ${String(columns)}x${String(rows)}`,
      )
      expectWhole(terminal)
    }
  })

  test('hostile log lines stay in their rows', async () => {
    const terminal = run(['hostile'])
    await terminal.shows('the last line')
    expectWhole(terminal)
    expect(terminal.isAlternate()).toBe(true)
    expect(terminal.text()).toContain('cleared')
    const lines = terminal.rows().filter((row) => /^ \d\d:\d\d:\d\d api /u.test(row))
    expect(lines).toHaveLength(7)
  })

  test('pasted text presses no key', async () => {
    const terminal = run(['ready'])
    await terminal.shows('? help')
    terminal.press('\u001B[200~dqr1\u001B[201~')
    terminal.press('2')
    await terminal.shows('›2 ● api')
    expect(await terminal.recorded()).toEqual([])
  })

  test('NO_COLOR: no colour is sent, and all is still there', async () => {
    const terminal = run(['crashed'], { NO_COLOR: '1' })
    await terminal.shows('✗ api')
    await terminal.shows('? help')
    // eslint-disable-next-line no-control-regex -- the point of the test
    expect(terminal.output).not.toMatch(/\u001B\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m/u)
    const coloured = run(['crashed'])
    await coloured.shows('? help')
    // eslint-disable-next-line no-control-regex -- the point of the test
    expect(coloured.output).toMatch(/\u001B\[31m/u)
  })

  test('INK_SCREEN_READER: sentences on the normal screen', async () => {
    const terminal = run(['starting'], { INK_SCREEN_READER: 'true' })
    await terminal.shows('elasticsearch: starting')
    expect(terminal.isAlternate()).toBe(false)
    expect(terminal.text()).not.toMatch(/[─█]/u)
    terminal.press('d')
    expect(await terminal.over()).toMatchObject({ exit: 0, restored: true })
  })
})

describe('the way out', () => {
  test('Ctrl-C while coming up cancels: shown, then 130', async () => {
    const terminal = run(['starting'])
    await terminal.shows('? help')
    terminal.press(KEYS.ctrlC)
    await terminal.shows('cancelling')
    expect(await terminal.over()).toEqual({ exit: 130, ...RESTORED })
    expect(await terminal.recorded()).toEqual(['intent {"type":"cancel"}', 'outcome cancelled'])
  })

  test('Ctrl-C once up stops the services and keeps their data', async () => {
    const terminal = run(['ready'])
    await terminal.shows('? help')
    terminal.press(KEYS.ctrlC)
    await terminal.shows('stopping the services; volumes are kept')
    expect(await terminal.over()).toEqual({ exit: 0, ...RESTORED })
    expect(await terminal.recorded()).toEqual(['intent {"type":"quit","force":false}', 'outcome quit'])
    expect(terminal.text()).toContain('volumes are kept')
  })

  test('a second Ctrl-C forces, a third leaves a session that does not answer', async () => {
    const terminal = run(['ready'], { FIXTURE_DEAF: '1' })
    await terminal.shows('? help')
    terminal.press(KEYS.ctrlC)
    await terminal.shows('stopping')
    terminal.press(KEYS.ctrlC)
    await terminal.shows('killing')
    terminal.press(KEYS.ctrlC)
    expect(await terminal.over()).toEqual({ exit: 0, ...RESTORED })
    expect(await terminal.recorded()).toEqual([
      'intent {"type":"quit","force":false}',
      'intent {"type":"quit","force":true}',
      'outcome forced',
    ])
  })

  test('attached, Ctrl-C only detaches', async () => {
    const terminal = run(['ready', 'attach'])
    await terminal.shows('q detach')
    terminal.press(KEYS.ctrlC)
    expect(await terminal.over()).toEqual({ exit: 0, ...RESTORED })
    expect(await terminal.recorded()).toEqual(['outcome detached'])
  })
})

describe('the terminal is restored', () => {
  test('by unmount() from a signal handler', async () => {
    const terminal = run(['starting'])
    await terminal.shows('? help')
    await terminal.signalProgram('SIGTERM')
    expect(await terminal.over()).toEqual({ exit: 0, ...RESTORED })
    expect(await terminal.recorded()).toEqual(['outcome detached'])
  })

  test('also when the process dies of a bug', async () => {
    const terminal = run(['starting'], { FIXTURE_BUG: '1' })
    await terminal.shows('? help')
    expect(await terminal.over()).toEqual({ exit: 1, ...RESTORED })
    expect(terminal.text()).toContain('a bug elsewhere in the process')
  })
})
