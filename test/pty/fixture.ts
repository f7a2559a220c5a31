// A tiny program that a pseudo terminal runs: the real terminal UI on a scripted source.
import { appendFileSync } from 'node:fs'
import { renderTui } from '../../src/ui/tui/render-tui.js'
import * as story from '../ui/story.js'

const [kind = 'busy', mode = 'up', lines = '0'] = process.argv.slice(2)
const record = (text: string): void => {
  const file = process.env['FIXTURE_RECORD']
  if (file !== undefined) appendFileSync(file, `${text}\n`)
}

const begun = Date.now()
const source = new story.StorySource((clock) => new Date(begun + clock).toISOString())
const hostile = (source: story.StorySource): unknown =>
  story
    .ready(source)
    .log('api', [
      '\u001B[2J\u001B[H\u001B[31mcleared\u001B]0;title\u0007',
      '👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ family and flags'.repeat(20),
      '日本語のログ'.repeat(100),
      '\u001B[?1049l\u001B[10A left the screen',
      '\t\ttabs\tand\r\nbreaks \u202E reversed',
      'x'.repeat(5000),
      'the last line',
    ])

const stories: Readonly<Record<string, (source: story.StorySource) => unknown>> = {
  begin: story.begin,
  building: story.building,
  starting: story.starting,
  ready: story.ready,
  busy: story.busy,
  crashed: story.crashed,
  brokenBuild: story.brokenBuild,
  saved: story.saved,
  stale: story.stale,
  held: story.held,
  hostile,
}
stories[kind]?.(source)
// The story's past: what it told lies behind us.
const shift = source.clock
const real = (): number => Date.now() + shift

source.onSend = async (intent) => {
  record(`intent ${JSON.stringify(intent)}`)
  source.clock = real() - begun
  if (process.env['FIXTURE_DEAF'] !== undefined) return
  if (intent.type === 'approve')
    source.emit({ type: 'approvalEnded', id: intent.hold, outcome: 'approved', reason: 'asked for' })
  if (intent.type === 'cancel')
    setTimeout(
      () => source.emit({ type: 'stackFailed', durationMs: 1000, cancelled: true, failures: [] }),
      300,
    )
  if (intent.type === 'quit') {
    setTimeout(() => {
      source.emit({ type: 'stackStopped', services: story.SHOP_NAMES, removed: false })
      source.emit({ type: 'sessionEnded', reason: 'stopped' })
    }, 300)
  }
}

// Lines a second, in batches of a tenth of a second as the session sends them.
const rate = Number(lines)
let sent = 0
const flood =
  rate === 0
    ? null
    : setInterval(() => {
        const texts = Array.from({ length: Math.round(rate / 10) }, () => {
          sent += 1
          return `GET /api/products?page=${String(sent)} 200 ${String(sent % 40)} ms  user=${String((sent * 7919) % 1000)}`
        })
        source.clock = real() - begun
        source.log('api', texts)
        // What a story keeps for its test would grow without end here.
        source.events.length = 0
      }, 100)

const tui = await renderTui(source, {
  mode: mode === 'attach' ? 'attach' : 'up',
  stdin: process.stdin,
  stdout: process.stdout,
  color: process.env['NO_COLOR'] === undefined,
  screenReader: process.env['INK_SCREEN_READER'] === 'true',
  now: real,
  onOpen: (url) => record(`open ${url}`),
})
process.on('SIGTERM', () => tui.unmount())
if (process.env['FIXTURE_BUG'] !== undefined)
  setTimeout(() => {
    throw new Error('a bug elsewhere in the process')
  }, 500)
if (process.env['FIXTURE_USAGE'] !== undefined) {
  const from = { time: Date.now(), cpu: process.cpuUsage() }
  const told = (): void => {
    const cpu = process.cpuUsage(from.cpu)
    const seconds = (Date.now() - from.time) / 1000
    const used = (cpu.user + cpu.system) / 1e6
    record(
      `usage ${seconds.toFixed(1)} s, cpu ${used.toFixed(2)} s, rss ${String(Math.round(process.memoryUsage.rss() / 1e6))} MB`,
    )
  }
  setTimeout(told, Number(process.env['FIXTURE_USAGE']) * 1000)
}
const outcome = await tui.waitUntilExit()
if (flood !== null) clearInterval(flood)
record(`outcome ${outcome}`)
process.exit(outcome === 'cancelled' ? 130 : 0)
