import { describe, expect, test } from 'vitest'
import { initialUi } from '../../src/ui/tui/ui-state.js'
import { statusView } from '../../src/ui/tui/view-status.js'
import { overcome, ready, saved, stale, staleAgain, StorySource } from './story.js'

/** The terminal's line of what the stack does now. */
function status(tell: (source: StorySource) => StorySource) {
  const source = tell(new StorySource())
  return statusView({
    state: source.getState(),
    ui: initialUi,
    size: { columns: 160, rows: 40 },
    mode: 'up',
    color: false,
    now: source.now(),
    wasReady: true,
    ring: null,
  })
}

describe('the line of what the stack does now', () => {
  test('tells the last save', () => {
    expect(status(saved)).toEqual({ text: ' api: shop/app.py: live in 31 ms', tone: 'good' })
  })

  test('tells a failure as long as it stands', () => {
    expect(status(stale)).toEqual({
      text: ' api stale: SyntaxError: invalid syntax  shop/app.py:3',
      tone: 'bad',
    })
  })

  test('is as before the save when the failure was overcome', () => {
    expect(status(overcome)).toEqual(status(ready))
  })

  test('tells what is waited for now, not the failure before', () => {
    expect(status(staleAgain).text).toBe(' api stale, waits for a save that mends: ImportError: redis')
  })
})
