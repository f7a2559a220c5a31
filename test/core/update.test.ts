import { describe, expect, it } from 'vitest'
import type { WatchRule } from '../../src/core/project.js'
import { decide, ruleFor, targetOf } from '../../src/core/update.js'
import { service } from './builders.js'

const rule = (action: WatchRule['action'], path: string, target: string | null): WatchRule => ({
  action,
  path,
  target,
  ignore: [],
  include: [],
})
const api = service('api', [], {
  watch: [rule('sync', '/demo/api/shop', '/app/shop'), rule('rebuild', '/demo/api/requirements.txt', null)],
})
const web = service('web', [], { watch: [rule('sync+restart', '/demo/web/', '/app/')] })

describe('decide', () => {
  it('asks each service for what its rules say, once a batch', () => {
    expect(
      decide([api, web], ['/demo/api/shop/a.py', '/demo/api/shop/b.py', '/demo/web/x.js', '/demo/other']),
    ).toEqual([
      {
        service: 'api',
        action: 'sync',
        files: ['/demo/api/shop/a.py', '/demo/api/shop/b.py'],
        reason: 'sync: /demo/api/shop/a.py',
      },
      {
        service: 'web',
        action: 'sync+restart',
        files: ['/demo/web/x.js'],
        reason: 'sync+restart: /demo/web/x.js',
      },
    ])
  })

  it('takes the strongest action of a batch', () => {
    const [update] = decide([api], ['/demo/api/shop/a.py', '/demo/api/requirements.txt'])
    expect(update).toMatchObject({ action: 'rebuild', reason: 'rebuild: /demo/api/requirements.txt' })
  })

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
