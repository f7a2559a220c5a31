import { describe, expect, it } from 'vitest'
import { levelOf, parseLevel } from '../../src/core/log-level.js'

describe('levelOf', () => {
  it.each([
    ['2026-01-01 12:00:00 ERROR in app: boom', 'error'],
    ['{"level":"error","message":"x"}', 'error'],
    ['time="..." level=warning msg="x"', 'warn'],
    ['{"log.level": "WARN", "message": "x"}', 'warn'],
    ['DEBUG: cache miss', 'debug'],
    ['ZeroDivisionError: division by zero', 'info'],
    ['Traceback (most recent call last):', 'error'],
    ['GET /errors 200', 'info'],
    ['listening on 8080', 'info'],
  ])('%s is %s', (line, level) => {
    expect(levelOf(line)).toBe(parseLevel(level))
  })

  it('refuses an unknown level and names those there are', () => {
    expect(() => parseLevel('loud')).toThrow(
      expect.objectContaining({ hint: '--level debug, info, warn, error' }),
    )
  })
})
