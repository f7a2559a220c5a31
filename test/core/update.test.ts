import { describe, expect, it } from 'vitest'
import type { WatchRule } from '../../src/core/project.js'
import { isMounted, isWithin, mountedBy, ruleFor, strongest, targetOf } from '../../src/core/update.js'
import { service, watchRule } from './builders.js'

const rule = watchRule
const api = service('api', [], {
  watch: [rule('sync', '/demo/api/shop', '/app/shop'), rule('rebuild', '/demo/api/requirements.txt', null)],
})

describe('strongest', () => {
  it.each([
    [['sync', 'rebuild', 'sync+restart'], 'rebuild'],
    [['restart', 'sync+restart'], 'sync+restart'],
    [['sync', 'restart', 'sync+exec'], 'restart'],
    [['sync', 'sync+exec'], 'sync+exec'],
    [[], null],
  ] as const)('of %j it is %s', (actions, expected) => {
    expect(strongest(actions)).toBe(expected)
  })
})

describe('ruleFor', () => {
  it('takes the closest rule, whatever the order in the file', () => {
    const both = service('api', [], {
      watch: [rule('sync', '/demo/api', '/app'), rule('rebuild', '/demo/api/requirements.txt', null)],
    })
    expect(ruleFor(both, '/demo/api/requirements.txt')?.action).toBe('rebuild')
    expect(ruleFor(both, '/demo/api/a.py')?.action).toBe('sync')
  })

  it('does not take a sibling that begins alike for a child', () => {
    expect(ruleFor(api, '/demo/api/shop-old/a.py')).toBeNull()
  })
})

describe('targetOf', () => {
  it('maps files, folders with a slash, and a single file', () => {
    expect(targetOf(rule('sync', '/demo/web/', '/app/'), '/demo/web/src/a.js')).toBe('/app/src/a.js')
    expect(targetOf(rule('sync', '/demo/a.conf', '/etc/a.conf'), '/demo/a.conf')).toBe('/etc/a.conf')
    expect(targetOf(rule('rebuild', '/demo/a', null), '/demo/a/b')).toBeNull()
  })
})

describe('mountedBy', () => {
  const bind = { source: '/demo', target: '/srv' }
  const mounted = (rule: WatchRule) => mountedBy({ binds: [bind] }, rule)

  it('finds the mount that shows the watched path at its target', () => {
    expect(mounted(rule('sync', '/demo/api', '/srv/api'))).toBe(bind)
    expect(mounted(rule('sync', '/demo/', '/srv/'))).toBe(bind)
  })

  it('finds none where the target is another place', () => {
    expect(mounted(rule('sync', '/demo/api', '/srv/other'))).toBeNull()
    expect(mounted(rule('sync', '/demo-old', '/srv-old'))).toBeNull()
    expect(mounted(rule('rebuild', '/demo', null))).toBeNull()
  })
})

describe('isMounted', () => {
  it('is what lies in a bind mount, however that is written', () => {
    const binds = ['/srv/', '/etc/app.conf'].map((target) => ({ source: '/demo', target }))
    const mounted = ['/srv', '/srv/a', '/etc/app.conf', '/srv-old/a', '/etc/app.conf2', '/'].filter(
      (target) => isMounted({ binds }, target),
    )
    expect(mounted).toEqual(['/srv', '/srv/a', '/etc/app.conf'])
    expect(isMounted({ binds: [{ source: '/demo', target: '/' }] }, '/srv')).toBe(true)
  })
})

describe('isWithin', () => {
  it.each([
    ['/', '/', true],
    ['/', '/a', true],
    ['/a', '/a/b', true],
    ['/a/', '/a/b', true],
    ['/a', '/ab', false],
    ['/a/b', '/a', false],
  ])('%s and %s: %s', (folder, path, expected) => {
    expect(isWithin(folder, path)).toBe(expected)
  })
})
