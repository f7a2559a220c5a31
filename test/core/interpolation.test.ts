import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { interpolate } from '../../src/core/interpolation.js'

const env: Readonly<Record<string, string>> = { A: 'a', EMPTY: '', B_2: 'b' }
const lookup = (name: string) => env[name]

test.each([
  ['plain', 'plain'],
  ['$A and ${A}', 'a and a'],
  ['$$A', '$A'],
  ['$${A}', '${A}'],
  ['${B_2}x', 'bx'],
  ['${NO:-d}', 'd'],
  ['${EMPTY:-d}', 'd'],
  ['${EMPTY-d}', ''],
  ['${A:-d}', 'a'],
  ['${NO:-${A}}', 'a'],
  ['${NO:-${NO2:-deep}}', 'deep'],
  ['${A:+yes}', 'yes'],
  ['${NO:+yes}', ''],
  ['${EMPTY+yes}', 'yes'],
  ['${A:?needed}', 'a'],
  ['${NO:-a b:c-d}', 'a b:c-d'],
  ['${NO:-}}', '}'],
  ['5$ $1 $-', '5$ $1 $-'],
  ['$$$', '$$'],
])('%s is %j', (text, value) => {
  expect(interpolate(text, lookup)).toMatchObject({ value, issues: [] })
})

test.each([
  ['x $NO y', { kind: 'unset', name: 'NO', expression: '$NO' }],
  ['${NO}', { kind: 'unset', name: 'NO', expression: '${NO}' }],
  ['${NO:?set it}', { kind: 'required', name: 'NO', message: 'set it' }],
  ['${EMPTY:?set it}', { kind: 'required', name: 'EMPTY' }],
  ['${NO?}', { kind: 'required', name: 'NO', message: '' }],
  ['${A', { kind: 'invalid', expression: '${' }],
  ['${}', { kind: 'invalid', expression: '${}' }],
  ['${A!}', { kind: 'invalid', expression: '${A!}' }],
  ['${ A}', { kind: 'invalid', expression: '${ A}' }],
  ['${1}', { kind: 'invalid', expression: '${1}' }],
])('%s has an issue', (text, issue) => {
  expect(interpolate(text, lookup).issues).toMatchObject([issue])
})

test('equal expressions are told apart', () => {
  expect(interpolate('$NO $NO', lookup).issues.map(({ occurrence }) => occurrence)).toEqual([0, 1])
})

test('a default is not looked into where the value is there', () => {
  expect(interpolate('${A:-${NO:?x}}', lookup).issues).toEqual([])
})

test('a thousand defaults within one another come to an end', () => {
  const text = `${'${NO:-'.repeat(1000)}x${'}'.repeat(1000)}`
  expect(interpolate(text, lookup).value).toContain('x')
})

test('escaped text comes out as it was, and no text makes it crash', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', 'A', ':', '-', '?', '+', ' ') }), (text) => {
      expect(interpolate(text.replaceAll('$', '$$$$'), lookup)).toMatchObject({ value: text, issues: [] })
      interpolate(text, lookup)
    }),
  )
})
