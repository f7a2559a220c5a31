import { expect, test } from 'vitest'
import { readDotEnv } from '../../src/core/dotenv.js'

const read = (text: string, outer: Readonly<Record<string, string>> = {}) =>
  readDotEnv(text, '.env', (name) => outer[name])

test.each([
  ['A=1\n', { A: '1' }],
  ['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
  ['# no\n\n export A = 1 # yes\n', { A: '1' }],
  ['A="1 # not a comment" # a comment\n', { A: '1 # not a comment' }],
  ['A="x\\ny"\n', { A: 'x\ny' }],
  ['A="two\nlines"\nB=2', { A: 'two\nlines', B: '2' }],
  ["A='$B'\n", { A: '$B' }],
  ['A=1\nB=${A}2\nC="$B"\n', { A: '1', B: '12', C: '12' }],
  ['A=${NO:-d}\n', { A: 'd' }],
  ['A="\\$x"\n', { A: '$x' }],
  ['A=\n', { A: '' }],
  ['A=x#y\n', { A: 'x#y' }],
  ['a.b-c=1\n', { 'a.b-c': '1' }],
])('%j', (text, values) => {
  expect(read(text)).toEqual({ values, problems: [] })
})

test('the environment around it wins in references', () => {
  expect(read('A=1\nB=$A\n', { A: 'outer' }).values['B']).toBe('outer')
})

test('mistakes have their line', () => {
  const { problems } = read('A=1\nB C\nD$=2\nE="open\n')
  expect(problems.map(({ at, message }) => `${String(at?.line)} ${message}`)).toEqual([
    '2 "B C" sets no variable',
    '3 "$" cannot be in a variable\'s name: D$',
    '4 the quote of E is never closed',
  ])
})

test('a hundred thousand mistakes are cut short', () => {
  const { problems } = read('not a variable\n'.repeat(100_000))
  expect(problems).toHaveLength(50)
  expect(problems.at(-1)?.at?.line).toBe(50)
})
