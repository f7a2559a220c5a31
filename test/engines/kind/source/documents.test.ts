import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { readDocuments } from '../../../../src/engines/kind/source/documents.js'

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('documents are told apart, each with its own places', () => {
  const { documents, problems } = readDocuments(
    '%YAML 1.2\n---\na: 1\n--- # two\n\na: 2\n---\n# none\n---\na: |\n  ---\n  x\n',
    'f',
  )
  expect(problems).toEqual([])
  expect(documents.map(({ value }) => plain(value))).toEqual([{ a: 1 }, { a: 2 }, { a: '---\nx\n' }])
  expect(documents.map((one) => one.locate(['a']).line)).toEqual([3, 6, 10])
  expect(documents.map((one) => one.depthOf(['a', 'b']))).toEqual([1, 1, 1])
})

test('a mistake in one document has the line of the file', () => {
  const { documents, problems } = readDocuments('a: 1\n---\nb: c: d\n---\na: 3\n', 'f')
  expect(problems.map(({ at }) => at)).toEqual([{ file: 'f', line: 3, column: 4 }])
  expect(documents.map(({ value }) => plain(value))).toEqual([{ a: 1 }, { a: 3 }])
})

test('whatever documents are written are read again', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom('---', '0644', '\n---\n', '# x', 'yes'),
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', '-', '---'), tie('value'), { maxKeys: 3 }),
    ),
  }))
  const document = fc.record({ kind: fc.constant('X'), value })
  fc.assert(
    fc.property(fc.array(document, { maxLength: 4 }), (values) => {
      const text = values.map((one) => `---\n${stringify(one)}`).join('')
      const { documents, problems } = readDocuments(text, 'f')
      expect(problems).toEqual([])
      expect(documents.map((one) => plain(one.value))).toEqual(plain(values))
      for (const one of documents) {
        const { line } = one.locate(['kind'])
        expect(text.split('\n')[line - 1]).toBe('kind: X')
      }
    }),
    { numRuns: 300 },
  )
})
