import { describe, expect, it } from 'vitest'
import { createCookieJar } from '../../src/core/exchange-cookies.js'

const NOW = Date.parse('2026-01-01T00:00:00Z')

describe('the cookies of one stack', () => {
  it('are sent back below their path, the longest first', () => {
    const jar = createCookieJar()
    jar.store(['a=1; Path=/', 'b=2; Path=/api', 'c=3'], '/login/form?x=/y', NOW)
    expect(jar.header(null, '/api/products?page=1', NOW)).toBe('b=2; a=1')
    expect(jar.header(null, '/login/done', NOW)).toBe('c=3; a=1')
    expect(jar.header(null, '/apis', NOW)).toBe('a=1')
  })

  it('are replaced by name, and end when the stack says so', () => {
    const jar = createCookieJar()
    jar.store(['sid=1', 'short=1; Max-Age=60', 'old=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], '/', NOW)
    jar.store(['sid=a=b; Secure; HttpOnly'], '/', NOW)
    expect(jar.header(null, '/', NOW)).toBe('sid=a=b; short=1')
    expect(jar.header(null, '/', NOW + 60_000)).toBe('sid=a=b')
    jar.store(['sid=; Max-Age=0'], '/', NOW)
    expect(jar.header(null, '/', NOW + 60_000)).toBeNull()
  })

  it('win over those of the recording, also when they were taken back', () => {
    const jar = createCookieJar()
    expect(jar.header('sid=recorded; theme=dark', '/', NOW)).toBe('sid=recorded; theme=dark')
    jar.store(['sid=own'], '/', NOW)
    expect(jar.header('sid=recorded; theme=dark', '/', NOW)).toBe('sid=own; theme=dark')
    jar.store(['sid=; Max-Age=0'], '/', NOW)
    expect(jar.header('sid=recorded; theme=dark', '/', NOW)).toBe('theme=dark')
  })
})
