import { describe, expect, it } from 'vitest'
import { parseDuration } from '../../src/cli/duration.js'

describe('parseDuration', () => {
  it.each([
    ['90', 90_000],
    ['1.5s', 1500],
    ['300ms', 300],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each(['', 'soon', '5 m', '5x', '-5s', 'm5', '5m!'])('refuses %j and says how to write one', (text) => {
    expect(() => parseDuration(text)).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: 'write 90s, 5m or 1h30m' }),
    )
  })
})
