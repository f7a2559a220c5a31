import { describe, expect, it } from 'vitest'
import { jsonPathText, matchesPath, parseJsonPath, valueAt } from '../../src/core/exchange-path.js'

const answer = { items: [{ id: 1, 'a b': 'x' }, { id: 2 }], total: 2, deep: { at: { id: 3 } } }

describe('a JSON path', () => {
  it.each([
    ['$.total', ['total'], true],
    ['$.items[*].id', ['items', 1, 'id'], true],
    ['$.items[0].id', ['items', 1, 'id'], false],
    ["$.items[0]['a b']", ['items', 0, 'a b'], true],
    ['$.items.*.id', ['items', 0, 'id'], true],
    ['$..id', ['deep', 'at', 'id'], true],
    ['$..id', ['id'], true],
    ['$.deep..id', ['items', 0, 'id'], false],
    ['$..items[*]..id', ['items', 0, 'more', 'id'], true],
    ['$', [], true],
    ['$', ['total'], false],
  ] as const)('%s names %j: %s', (text, place, named) => {
    const path = parseJsonPath(text)
    expect(path !== null && matchesPath(path, place)).toBe(named)
  })

  it.each(['', 'total', '.total', '$total', '$.', '$..', '$.a[', '$.a[b]', '$.a b', '$[0'])(
    '%j is none',
    (text) => {
      expect(parseJsonPath(text)).toBeNull()
    },
  )

  it.each([
    ['$.total', 2],
    ['$.items[1].id', 2],
    ['$.items[*].id', 1],
    ['$..id', 1],
    ['$.deep..id', 3],
    ['$.none.at.all', undefined],
    ['$.total.constructor', undefined],
  ] as const)('%s finds %j', (text, value) => {
    const path = parseJsonPath(text)
    expect(path === null ? null : valueAt(answer, path)).toBe(value)
  })

  it('is written as it is read', () => {
    const place = ['items', 0, 'a b', "it's", 'größe']
    const path = parseJsonPath(jsonPathText(place))
    expect(path !== null && matchesPath(path, place)).toBe(true)
  })
})
