import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { closest, didYouMean, editDistance } from '../../src/core/suggest.js'

const keys = ['image', 'build', 'healthcheck', 'depends_on', 'ports', 'environment']

test.each([
  ['helthcheck', 'healthcheck'],
  ['imgae', 'image'],
  ['Ports', 'ports'],
  ['port', 'ports'],
  ['enviroment', 'environment'],
  ['depend_on', 'depends_on'],
  ['frobnicate', null],
  ['x', null],
])('%s is meant to be %s', (word, meant) => {
  expect(closest(word, keys)).toBe(meant)
})

test('a suggestion is a question', () => {
  expect(didYouMean('biuld', keys)).toBe('did you mean "build"?')
  expect(didYouMean('frobnicate', keys)).toBeNull()
})

test('the edit distance is symmetric, and zero only for the same word', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (one, other) => {
      expect(editDistance(one, other)).toBe(editDistance(other, one))
      expect(editDistance(one, other) === 0).toBe(one === other)
      expect(editDistance(one, other)).toBeLessThanOrEqual(Math.max(one.length, other.length))
    }),
  )
})
