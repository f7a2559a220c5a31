import { describe, expect, it } from 'vitest'
import { nearEvent, nearPath } from '../../src/cli/near.js'

const about = { seq: 1, at: '', batch: 1, service: 'web' } as const

describe('paths as seen from the current folder', () => {
  it('are shorter, or stay whole', () => {
    expect(nearPath('/p/web/a.js', '/p')).toBe('web/a.js')
    expect(nearPath('/etc/a', '/home/dev/shop/api')).toBe('/etc/a')
  })

  it('name what was brought back', () => {
    const event = {
      type: 'broughtBack',
      ...about,
      instance: 'web-1',
      files: ['/p/web/package-lock.json'],
    } as const
    expect(nearEvent(event, '/p')).toMatchObject({ files: ['web/package-lock.json'] })
  })

  it('name where a rule is written, and leave the files that it is about', () => {
    const at = { file: '/p/compose.yaml', line: 3, column: 1 }
    const rules = [{ action: 'sync', path: '/p/web', at, files: 1 }] as const
    const files = ['/p/web/a.js']
    const event = { type: 'updateDecided', ...about, action: 'sync', files, reason: '', rules } as const
    expect(nearEvent(event, '/p')).toMatchObject({
      files,
      rules: [{ path: '/p/web', at: { file: 'compose.yaml' } }],
    })
  })
})
