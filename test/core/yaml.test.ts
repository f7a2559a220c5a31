import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { readYaml } from '../../src/core/yaml.js'

const read = (text: string) => readYaml(text, 'f.yaml')
const told = (text: string) =>
  read(text).problems.map(({ message, at }) => `${String(at?.line)}:${String(at?.column)} ${message}`)

test('every key and value has its place', () => {
  const source = read('services:\n  api:\n    ports:\n      - "80:80"\n      - 90\n')
  const at = (path: readonly (string | number)[], part?: 'key' | 'value') => {
    const { line, column } = source.locate(path, part)
    return `${String(line)}:${String(column)}`
  }
  expect(at(['services', 'api'])).toBe('2:3')
  expect(at(['services', 'api', 'ports', 1])).toBe('5:9')
  expect(at(['services', 'api', 'ports'], 'value')).toBe('4:7')
  expect(at(['services', 'api', 'image'])).toBe('2:3')
  expect(at([])).toBe('1:1')
  expect(source.depthOf(['services', 'api', 'image'])).toBe(2)
})

test('what is merged or an alias lies where it is written', () => {
  const source = read('x: &x\n  image: a\n  init: true\ny:\n  <<: *x\n  image: b\nz: *x\n')
  expect(source.documents).toEqual([
    { x: { image: 'a', init: true }, y: { image: 'b', init: true }, z: { image: 'a', init: true } },
  ])
  expect(source.locate(['y', 'init']).line).toBe(3)
  expect(source.locate(['y', 'image']).line).toBe(6)
  expect(source.locate(['z', 'image']).line).toBe(2)
})

test('an earlier merge wins over a later one', () => {
  expect(read('a: &a {k: 1}\nb: &b {k: 2, l: 2}\nc: {<<: [*a, *b]}\n').documents).toMatchObject([
    { c: { k: 1, l: 2 } },
  ])
})

test('several documents are looked through, the last one first', () => {
  const source = read('a: {b: 1}\n---\na: {c: 2}\n')
  expect(source.documents).toHaveLength(2)
  expect(source.locate(['a', 'b']).line).toBe(1)
  expect(source.locate(['a', 'c']).line).toBe(3)
  expect(source.locate(['a']).line).toBe(3)
})

test('a piece of a text has its place, also in a block', () => {
  const source = read('a: "x ${B} ${B}"\nc: |\n  one\n  two ${D}\n')
  expect(source.locateText(['a'], '${B}', 1)).toEqual({ file: 'f.yaml', line: 1, column: 12 })
  expect(source.locateText(['c'], '${D}', 0)).toEqual({ file: 'f.yaml', line: 4, column: 7 })
})

test('tags are kept', () => {
  const source = read('ports: !override ["1:1"]\nenv: !reset null\nplain: 1\n')
  expect([source.tagOf(['ports']), source.tagOf(['env']), source.tagOf(['plain'])]).toEqual([
    '!override',
    '!reset',
    null,
  ])
})

test('every syntax error of a file is told', () => {
  expect(told('a: b: c\nd: [1\ne: }\n')).toMatchInlineSnapshot(`
    [
      "1:4 nested mappings are not allowed in compact mappings",
      "3:1 flow sequence in block collection must be sufficiently indented and end with a ]",
      "3:4 unexpected flow-map-end token in YAML stream: "}"",
    ]
  `)
})

test.each([
  ['a: 1\nb: 2\na: 3\n', ['3:1 the key "a" is written twice']],
  ['1: a\n', ['1:1 the key 1 is not text; put it in quotes']],
  ['[a]: b\n', ['1:1 a key is a list or a map; it must be text']],
  ['a: *b\n', ['1:4 the alias *b has no anchor']],
  ['a: &a [*a]\n', ['1:8 the alias *a is inside its own anchor']],
  ['a: {<<: 5}\n', ['1:5 << needs a map, or a list of maps']],
  ['a: {<<: {}, <<: {}}\n', ['1:13 the key "<<" is written twice']],
  ['a: 1\nb: x\0y\n', ['2:5 the control character U+0000 is not allowed']],
  [
    'a: !!int x\n!!bool b: 1\n',
    ['1:10 "x" is not what its tag !!int says', '2:8 "b" is not what its tag !!bool says'],
  ],
  ['a: [1]#c\n', []],
])('%j', (text, expected) => {
  expect(told(text)).toEqual(expected)
})

const times = (text: string, count: number) => text.repeat(count)

const bombs: Readonly<Record<string, string>> = {
  'a billion laughs': `a0: &a0 [x,x,x,x,x,x,x,x,x]\n${chain(30, (n) => Array.from({ length: 9 }, () => `*a${n}`).join(','))}`,
  'laughing maps': `a0: &a0 {k: x}\n${Array.from({ length: 30 }, (_, n) => `a${String(n + 1)}: &a${String(n + 1)} {p: *a${String(n)}, q: *a${String(n)}, r: *a${String(n)}}`).join('\n')}`,
  'quadratic aliases': `a: &a [${times('x,', 900)}x]\nb: [${times('*a,', 900)}*a]\n`,
  'a chain of merges': `a0: &a0 {k0: 1}\n${Array.from({ length: 3000 }, (_, n) => `a${String(n + 1)}: &a${String(n + 1)} {<<: *a${String(n)}, k${String(n)}: 1}`).join('\n')}`,
  'a list of merges': `a: &a {${Array.from({ length: 500 }, (_, n) => `k${String(n)}: 1`).join(',')}}\nb: {<<: [${times('*a,', 900)}*a]}\n`,
  'open brackets': times('[', 500_000),
  'open braces': times('{', 500_000),
  'nested lists': times('- ', 400_000),
  'nested keys': Array.from({ length: 1200 }, (_, n) => `${times(' ', n)}a:`).join('\n'),
  'nested question marks': times('? ', 400_000),
  colons: times(':', 900_000),
  quotes: times('a: "', 200_000),
  'broken lines': times('\t- [\n', 200_000),
  'many keys': Array.from({ length: 100_000 }, (_, n) => `k${String(n)}: 1`).join('\n'),
  'many anchors': Array.from({ length: 60_000 }, (_, n) => `- &a${String(n)} x`).join('\n'),
  'empty lines': times('\n', 1_000_000),
  comments: times('#\n', 500_000),
  documents: times('---\n', 250_000),
  'too many bytes': `a: ${times('ü', 600_000)}`,
  tags: times('!!map ', 150_000),
  'a self-containing map': 'a: &a\n  b: *a\n',
}

function chain(count: number, items: (before: string) => string): string {
  return Array.from(
    { length: count },
    (_, n) => `a${String(n + 1)}: &a${String(n + 1)} [${items(String(n))}]`,
  ).join('\n')
}

test.each(Object.entries(bombs))('%s: refused at a place, and soon', (_, text) => {
  const start = performance.now()
  const source = read(text)
  const took = performance.now() - start
  expect(source.problems.length).toBeGreaterThan(0)
  expect(source.problems.length).toBeLessThanOrEqual(51)
  for (const { at } of source.problems) expect(at?.line).toBeGreaterThan(0)
  expect(source.documents).toEqual([])
  // Far above what it takes (tens of milliseconds), far below a hang.
  expect(took).toBeLessThan(5000)
})

test('what is written is what is read, and every path of it has a place', () => {
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.string({ maxLength: 8 }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('tree'), { maxKeys: 3, noNullPrototype: true }),
    ),
  }))
  fc.assert(
    fc.property(tree, (value) => {
      const text = stringify(value)
      const source = read(text)
      expect(source.problems).toEqual([])
      expect(source.documents).toEqual([value])
      for (const path of pathsOf(value)) expect(source.depthOf(path)).toBe(path.length)
    }),
  )
})

function pathsOf(value: unknown): readonly (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [[]]
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [[], ...entries.flatMap(([key, inner]) => pathsOf(inner).map((path) => [key, ...path]))]
}

test('no text makes it crash, and every problem has a place within the text', () => {
  const piece = fc.constantFrom(
    'a',
    ':',
    ' ',
    '\n',
    '- ',
    '[',
    ']',
    '{',
    '}',
    '&a',
    '*a',
    '!x',
    '"',
    "'",
    '#',
    '|',
    '>',
    '\t',
    '<<',
    '?',
    '%',
    '---',
    '…',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('')
      const height = text.split('\n').length
      for (const { at } of read(text).problems) {
        expect(at?.line).toBeGreaterThan(0)
        expect(at?.line).toBeLessThanOrEqual(height + 1)
      }
    }),
    { numRuns: 1000 },
  )
})
