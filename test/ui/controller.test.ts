import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DevstackError } from '../../src/core/error.js'
import { Controller } from '../../src/ui/tui/controller.js'
import type { ControllerOptions } from '../../src/ui/tui/controller.js'
import { LogRing } from '../../src/ui/tui/log-ring.js'
import {
  BEGIN,
  begin,
  busy,
  crashed,
  deliver,
  fresh,
  held,
  ready,
  refuse,
  saved,
  starting,
  StorySource,
  takeUp,
} from './story.js'

beforeEach(() => {
  vi.useFakeTimers({ now: BEGIN })
})
afterEach(() => {
  vi.useRealTimers()
})

function open(tell: (source: StorySource) => StorySource, options: Partial<ControllerOptions> = {}) {
  const source = tell(new StorySource())
  vi.setSystemTime(source.now())
  const onEnd = vi.fn()
  const onOpen = vi.fn()
  const controller = new Controller(source, {
    mode: 'up',
    size: { columns: 80, rows: 24 },
    color: false,
    now: Date.now,
    still: false,
    onOpen,
    onEnd,
    ...options,
  })
  let frames = 0
  controller.subscribe(() => (frames += 1))
  return { source, controller, onEnd, onOpen, frames: () => frames }
}

describe('publishes', () => {
  test('a flood at most ten times a second', () => {
    const { source, controller, frames } = open(ready)
    for (let tick = 0; tick < 100; tick += 1) {
      source.log('api', [`line ${String(tick)}`], source.clock + 10)
      vi.advanceTimersByTime(10)
    }
    expect(frames()).toBeGreaterThanOrEqual(9)
    expect(frames()).toBeLessThanOrEqual(11)
    expect(controller.getView().pane?.lines.at(-1)?.text).toMatch(/line (?:99|9\d|8\d)/u)
  })

  test('at once for a key', () => {
    const { controller, frames } = open(ready)
    controller.key('down')
    expect(frames()).toBe(1)
    expect(controller.getView().table?.rows[0]?.selected).toBe(true)
  })

  test('nothing where nothing shown changes', () => {
    const { source, controller, frames } = open(ready)
    controller.key('1')
    const before = frames()
    source.log('api', ['not the selected service'])
    source.emit({ type: 'filesChanged', batch: 1, files: ['a'], savedAt: null })
    vi.advanceTimersByTime(5000)
    expect(frames()).toBe(before)
  })

  test('at rest once a minute, for the uptime only', () => {
    const { frames } = open(ready)
    vi.advanceTimersByTime(10 * 60_000)
    expect(frames()).toBe(10)
    expect(vi.getTimerCount()).toBe(1)
  })

  test('while coming up four times a second; then the clock stops', () => {
    const { source, frames } = open(starting)
    vi.advanceTimersByTime(1000)
    expect(frames()).toBe(4)
    source.emit({ type: 'stackFailed', durationMs: 1, cancelled: false, failures: [] })
    source.stopped('elasticsearch', 1, 'exited 1', [], source.clock)
    vi.advanceTimersByTime(200)
    const before = frames()
    vi.advanceTimersByTime(60_000)
    expect(frames()).toBe(before)
  })

  test('an unchanged part stays the same object', () => {
    const { source, controller } = open(ready)
    const { table, header } = controller.getView()
    source.log('api', ['a line'])
    vi.advanceTimersByTime(200)
    expect(controller.getView().table).toBe(table)
    expect(controller.getView().header).toBe(header)
    expect(controller.getView().pane?.lines.at(-1)?.text).toContain('a line')
  })

  test('leaves no timer behind', () => {
    const { controller } = open(starting)
    controller.key('r')
    controller.dispose()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('logs', () => {
  test('scrolling pauses; what comes is counted; f follows again', () => {
    const { source, controller } = open(busy)
    controller.key('2')
    controller.key('pageup')
    const shown = controller.getView().pane?.lines
    source.log('api', ['one', 'two', 'three'])
    vi.advanceTimersByTime(200)
    expect(controller.getView().pane?.lines).toEqual(shown)
    expect(controller.getView().pane?.right).toBe('paused, 3 new')
    controller.key('f')
    expect(controller.getView().pane?.right).toBe('following')
    expect(controller.getView().pane?.lines.at(-1)?.text).toBe(' three')
  })

  test('scrolling down to the end follows again', () => {
    const { controller } = open(busy)
    controller.key('2')
    controller.key('pageup')
    controller.key('pagedown')
    expect(controller.getView().pane?.right).toBe('following')
  })

  test('a paused view stays while older lines fall out of the ring, until its own are gone', () => {
    const { source, controller } = open((story) => busy(story, 4000))
    controller.key('2')
    controller.key('pageup')
    const first = controller.getView().pane?.lines[0]
    source.log(
      'api',
      Array.from({ length: 900 }, (_, index) => `new ${String(index)}`),
    )
    vi.advanceTimersByTime(200)
    expect(controller.getView().pane?.lines[0]).toEqual(first)
    source.log(
      'api',
      Array.from({ length: 20_000 }, (_, index) => `newer ${String(index)}`),
    )
    vi.advanceTimersByTime(200)
    expect(controller.getView().pane?.lines[0]?.text).toBe(' newer 15000')
  })

  test('all services are mixed until one is chosen; 0 mixes again', () => {
    const { source, controller } = open(ready)
    source.log('redis', ['from redis']).log('api', ['from api'])
    vi.advanceTimersByTime(200)
    const last = controller
      .getView()
      .pane?.lines.slice(-2)
      .map(({ who, text }) => `${(who ?? '').trim()}:${text}`)
    expect(last).toEqual(['redis: from redis', 'api: from api'])
    controller.key('6')
    expect(controller.getView().pane).toMatchObject({ title: 'redis', lines: [{ text: ' from redis' }] })
    controller.key('0')
    expect(controller.getView().pane?.title).toBe('all services')
  })

  test('a fresh snapshot begins the logs anew', () => {
    const { source, controller } = open(busy)
    source.tails['api'] = [{ at: '', stream: 'stdout', text: 'after the hole' }]
    source.tails['elasticsearch'] = []
    source.replace(source.getState())
    vi.advanceTimersByTime(200)
    expect(controller.getView().pane?.lines.map((line) => line.text)).toEqual([' after the hole'])
  })

  test('a save that is live is seen once among the lines of its service', () => {
    const { source, controller } = open(fresh)
    controller.key('2')
    takeUp(deliver(source))
    vi.advanceTimersByTime(200)
    const lines = controller.getView().pane?.lines.map((line) => line.text) ?? []
    expect(lines.filter((line) => line.includes('↻'))).toEqual([' ↻ live in 31 ms: shop/app.py'])
  })

  test('a save that does not run is seen with its place in the project and what it printed', () => {
    const { source, controller } = open(fresh)
    controller.key('2')
    refuse(deliver(source))
    vi.advanceTimersByTime(200)
    expect(controller.getView().pane?.lines.map((line) => line.text)).toEqual([
      ' ✗ error: SyntaxError: invalid syntax',
      '     at api/src/shop/app.py:3:7',
      '     >   File "/app/shop/app.py", line 3',
      '     >     def broken(:',
      '     >                ^',
      '     waits for a save that mends it; the last good code goes on',
    ])
    expect(controller.getView().status).toMatchObject({
      text: ' api stale: SyntaxError: invalid syntax  shop/app.py:3',
      tone: 'bad',
    })
  })

  test('the ring keeps its size and its numbers', () => {
    const ring = new LogRing(3)
    const entry = (text: string) => ({ service: 'a', line: { at: '', stream: 'stdout' as const, text } })
    ring.push(['0', '1', '2', '3'].map(entry))
    expect([ring.first, ring.end]).toEqual([1, 4])
    ring.push(['4', '5', '6'].map(entry))
    expect([ring.first, ring.end]).toEqual([4, 7])
    expect(ring.slice(0, 6).map(({ line }) => line.text)).toEqual(['4', '5'])
  })
})

describe('what waits for a person', () => {
  test('y approves the first; the bar goes when nothing waits any more', () => {
    const { source, controller } = open(held)
    expect(controller.getView().approval?.text).toContain('compose.yaml changed: recreate api')
    controller.key('y')
    expect(source.sent).toEqual([{ type: 'approve', hold: 'plan-2' }])
    source.emit({ type: 'approvalEnded', id: 'plan-2', outcome: 'approved', reason: 'asked for' })
    vi.advanceTimersByTime(200)
    expect(controller.getView().approval).toMatchObject({
      keys: expect.stringContaining('[y] delete') as string,
    })
    source.emit({ type: 'approvalEnded', id: 'delete-web', outcome: 'withdrawn', reason: 'they are back' })
    vi.advanceTimersByTime(200)
    expect(controller.getView().approval).toBeNull()
  })

  test('v shows all of it, and esc closes it', () => {
    const { controller } = open(held)
    controller.key('v')
    expect(controller.getView().overlay?.lines.map((line) => line.text)).toContain('   src/App.jsx')
    controller.key('escape')
    expect(controller.getView().overlay).toBeNull()
  })
})

describe('why', () => {
  test('w tells of the selected service; another selection is told of too; w or esc is back at the log', () => {
    const { controller } = open(saved)
    controller.key('w')
    expect(controller.getView().pane?.about).toBe('logs')
    controller.key('down')
    controller.key('down')
    controller.key('w')
    expect(controller.getView().pane).toMatchObject({ title: 'api', about: 'why' })
    controller.key('down')
    expect(controller.getView().pane).toMatchObject({ title: 'web', about: 'why' })
    controller.key('escape')
    expect(controller.getView().pane?.about).toBe('logs')
    controller.key('w')
    controller.key('w')
    expect(controller.getView().pane?.about).toBe('logs')
  })

  test('where only one pane fits, w shows it', () => {
    const { controller } = open(saved, { size: { columns: 40, rows: 20 } })
    controller.key('down')
    controller.key('down')
    controller.key('w')
    expect(controller.getView().pane).toMatchObject({ title: 'api', about: 'why' })
  })
})

describe('selection', () => {
  test('goes to what failed, unless the user chose', () => {
    expect(open(crashed).controller.selected()).toBe('api')
    const { source, controller } = open(starting)
    controller.key('6')
    source.started('api', 6000).stopped('api', 1, 'exited 1', [], 7000)
    vi.advanceTimersByTime(200)
    expect(controller.selected()).toBe('redis')
  })
})

describe('the way out', () => {
  test('coming up: cancels, shows it, and ends when it is so', async () => {
    const { source, controller, onEnd } = open(starting)
    controller.key('ctrl-c')
    expect(source.sent).toEqual([{ type: 'cancel' }])
    expect(controller.getView().status?.text).toContain('cancelling')
    await vi.advanceTimersByTimeAsync(1000)
    expect(onEnd).not.toHaveBeenCalled()
    source.emit({ type: 'stackFailed', durationMs: 5000, cancelled: true, failures: [] })
    expect(onEnd).toHaveBeenCalledExactlyOnceWith('cancelled')
  })

  test('coming up: a second one forces, a third leaves at once', () => {
    const { source, controller, onEnd } = open(starting)
    controller.key('ctrl-c')
    controller.key('q')
    expect(source.sent).toHaveLength(1)
    controller.key('ctrl-c')
    expect(source.sent).toEqual([{ type: 'cancel' }, { type: 'quit', force: true }])
    controller.key('ctrl-c')
    expect(onEnd).toHaveBeenCalledExactlyOnceWith('forced')
  })

  test('it became ready before the cancel arrived: the services are stopped', () => {
    const { source, controller } = open(starting)
    controller.key('ctrl-c')
    source.emit({ type: 'stackReady', durationMs: 1, criticalPath: [], urls: [], touched: 1 })
    expect(source.sent).toEqual([{ type: 'cancel' }, { type: 'quit', force: false }])
  })

  test('once up: stops the services, ends with the session', () => {
    const { source, controller, onEnd } = open(ready)
    controller.key('ctrl-c')
    expect(source.sent).toEqual([{ type: 'quit', force: false }])
    source.emit({ type: 'sessionEnded', reason: 'stopped' })
    expect(onEnd).toHaveBeenCalledExactlyOnceWith('quit')
  })

  test('a restart of one service is no coming up: Ctrl-C stops all', () => {
    const { source, controller } = open(ready)
    source.emit({ type: 'upStarted', services: ['api'] })
    controller.key('ctrl-c')
    expect(source.sent).toEqual([{ type: 'quit', force: false }])
  })

  test.each(['q', 'ctrl-c'])('attached: %s only detaches', (key) => {
    const { source, controller, onEnd } = open(ready, { mode: 'attach' })
    controller.key(key)
    expect(source.sent).toEqual([])
    expect(onEnd).toHaveBeenCalledExactlyOnceWith('detached')
  })

  test('d detaches also while coming up', () => {
    const { source, controller, onEnd } = open(begin)
    controller.key('d')
    expect(source.sent).toEqual([])
    expect(onEnd).toHaveBeenCalledExactlyOnceWith('detached')
  })

  test('the session ended by itself', () => {
    const { source, onEnd } = open(ready)
    source.emit({ type: 'sessionEnded', reason: 'down' })
    expect(onEnd).toHaveBeenCalledExactlyOnceWith('ended')
  })

  test('a refused intent is said, and the way out is open again', async () => {
    const { source, controller } = open(ready)
    source.onSend = async () =>
      Promise.reject(new DevstackError('SESSION_LOST', 'it does not answer', { hint: 'devstack up' }))
    controller.key('q')
    await vi.advanceTimersByTimeAsync(1)
    expect(controller.getView().footer).toMatchObject({
      notice: ' error: it does not answer; try: devstack up',
      bad: true,
    })
    expect(controller.getView().status?.text).not.toContain('stopping')
    await vi.advanceTimersByTimeAsync(5000)
    expect(controller.getView().footer?.notice).toBeNull()
  })
})

describe('asks', () => {
  test('for the selected service, and says it', () => {
    const { source, controller } = open(ready)
    controller.key('2')
    controller.key('r')
    expect(source.sent).toEqual([{ type: 'restart', services: ['api'] }])
    expect(controller.getView().footer?.notice).toBe(' restarting api')
  })

  test('o opens the service’s address, or the stack’s', () => {
    const { controller, onOpen } = open(ready)
    controller.key('o')
    expect(onOpen).toHaveBeenLastCalledWith('http://127.0.0.1:8080')
    controller.key('5')
    controller.key('o')
    expect(onOpen).toHaveBeenLastCalledWith('http://127.0.0.1:9200')
    controller.key('4')
    controller.key('o')
    expect(onOpen).toHaveBeenLastCalledWith('http://127.0.0.1:8080')
  })
})
