import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Answer, Mask, Outcome } from '../../src/core/exchange.js'
import { compareOutcomes, markUnsteady } from '../../src/core/exchange-compare.js'
import { diffJson, readJson } from '../../src/core/exchange-json.js'
import { alignLines } from '../../src/core/exchange-lines.js'
import { withoutAddress } from '../../src/core/exchange-mask.js'
import { parseJsonPath } from '../../src/core/exchange-path.js'

const JSON_TYPE = ['content-type', 'application/json'] as const

function answered(part: Partial<Answer>): Outcome {
  return { answer: { status: 200, headers: [], body: { kind: 'text', text: '' }, ...part }, ms: 1 }
}

function json(value: unknown): Outcome {
  return answered({ headers: [JSON_TYPE], body: { kind: 'text', text: JSON.stringify(value) } })
}

function text(value: string): Outcome {
  return answered({ headers: [['content-type', 'text/html']], body: { kind: 'text', text: value } })
}

/** Differences as `part path: left | right`, or as the lines of a diff. */
function differ(
  left: Outcome,
  right: Outcome,
  rules: readonly Mask[] = [],
  defaults = true,
): readonly string[] {
  return compareOutcomes(left, right, { rules, defaults }).flatMap((one) => {
    if (one.lines.length > 0) return one.lines.map((line) => `${line.sign}${line.text}`)
    return [`${one.part}${one.path === null ? '' : ` ${one.path}`}: ${one.left ?? '-'} | ${one.right ?? '-'}`]
  })
}

function jsonMask(path: string): Mask {
  const parsed = parseJsonPath(path)
  if (parsed === null) throw new Error(path)
  return { kind: 'json', path: parsed }
}

describe('two answers are the same', () => {
  it('where only what is made for each answer differs', () => {
    const one = answered({
      headers: [
        JSON_TYPE,
        ['date', 'Mon, 01 Jan 2026 00:00:00 GMT'],
        ['etag', '"a"'],
        ['x-request-id', '1'],
        ['x-cache', 'hit'],
        ['set-cookie', 'sid=abc; Path=/; HttpOnly; Expires=Mon, 01 Jan 2026 00:00:00 GMT'],
        ['allow', 'GET, HEAD, OPTIONS'],
      ],
      body: {
        kind: 'text',
        text: '{"id":"11111111-2222-4333-8444-555555555555","created_at":"2026-01-01T00:00:00Z","took":3,"seen_at":1760000000}',
      },
    })
    const other = answered({
      headers: [
        JSON_TYPE,
        ['date', 'Mon, 01 Jan 2026 00:00:09 GMT'],
        ['content-length', '7'],
        ['set-cookie', 'sid=def; HttpOnly; Path=/; Expires=Mon, 01 Jan 2026 00:00:09 GMT'],
        ['allow', 'OPTIONS, HEAD, GET'],
      ],
      body: {
        kind: 'text',
        text: '{"seen_at":1760000009,"took":31,"created_at":"2026-01-02T03:04:05.678+02:00","id":"aaaaaaaa-2222-4333-8444-555555555555"}',
      },
    })
    expect(differ(one, other)).toEqual([])
    expect(differ(one, other, [], false)).toContain('header etag: "a" | -')
  })

  it('where links lead to the stack itself, whatever its address', () => {
    const at = (origin: string): Outcome => {
      const { answer } = answered({
        headers: [['location', `${origin}/login`]],
        body: { kind: 'text', text: `<a href="${origin}/a">${origin.slice(7)}</a>` },
      }) as { readonly answer: Answer }
      return { answer: withoutAddress(answer, origin), ms: 1 }
    }
    expect(differ(at('http://127.0.0.1:8080'), at('http://127.0.0.1:41873'))).toEqual([])
  })

  it('where a rule of the file hides it: a path, a header, a text', () => {
    const rules = [
      jsonMask('$.items[*].id'),
      { kind: 'header', name: 'x-pod' },
      { kind: 'text', pattern: /pod-\w+/gu },
    ] as const
    const of = (id: number, pod: string): Outcome =>
      answered({
        headers: [JSON_TYPE, ['x-pod', pod]],
        body: { kind: 'text', text: JSON.stringify({ items: [{ id }], host: `api on ${pod}` }) },
      })
    expect(differ(of(1, 'pod-a1'), of(2, 'pod-b2'), rules)).toEqual([])
    expect(differ(of(1, 'pod-a1'), of(2, 'pod-b2'))).toHaveLength(3)
  })

  it('where HTML differs in a nonce, a CSRF token and what keeps browsers from their caches', () => {
    const page = (nonce: string, version: string): Outcome =>
      text(
        `<script nonce="${nonce}" src="/main.js?t=${version}"></script><input name="csrf_token" type="hidden" value="${nonce}">`,
      )
    expect(differ(page('abc', '1718000000000'), page('xyz', '1718000000001'))).toEqual([])
  })
})

describe('two answers differ', () => {
  it('in status, headers and every place of JSON', () => {
    const one = answered({
      headers: [JSON_TYPE, ['x-only-left', 'a']],
      body: { kind: 'text', text: '{"name":"Lamp","price":1,"tags":["a","b"],"old":null}' },
    })
    const other = answered({
      status: 201,
      headers: [JSON_TYPE, ['cache-control', 'no-store']],
      body: { kind: 'text', text: '{"name":"Lamp","price":"1","tags":["a","c"],"new":{"x":[1]}}' },
    })
    expect(differ(one, other)).toMatchInlineSnapshot(`
      [
        "status: 200 | 201",
        "header cache-control: - | no-store",
        "header x-only-left: a | -",
        "body $.price: 1 | "1"",
        "body $.tags[1]: "b" | "c"",
        "body $.old: null | -",
        "body $.new: - | {"x":[1]}",
      ]
    `)
  })

  it('in a time that is none on the other side, and in a masked value that is missing there', () => {
    expect(differ(json({ at: '2026-01-01T00:00:00Z' }), json({ at: null }))).toEqual([
      'body $.at: "2026-01-01T00:00:00Z" | null',
    ])
    expect(differ(json({ id: 1 }), json({}), [jsonMask('$.id')])).toEqual(['body $.id: 1 | -'])
  })

  it('in one item more, which is told as such and not as a difference of all that follow', () => {
    const items = [1, 2, 3, 4].map((id) => ({ id, name: `n${String(id)}` }))
    expect(differ(json({ items }), json({ items: [{ id: 9, name: 'new' }, ...items] }))).toEqual([
      'body $.items[0]: - | {"id":9,"name":"new"}',
    ])
  })

  it('in whole numbers beyond what a double holds', () => {
    const of = (number: string): Outcome =>
      answered({ headers: [JSON_TYPE], body: { kind: 'text', text: `{"n":${number}}` } })
    expect(differ(of('9007199254740993'), of('9007199254740992'))).toEqual([
      'body $.n: 9007199254740993 | 9007199254740992',
    ])
  })

  it('in lines of a page, with what stands around them', () => {
    expect(differ(text('<p>\na\nb\nc\n</p>'), text('<p>\na\nB\nc\n</p>'))).toEqual([' a', '-b', '+B', ' c'])
  })

  it('in bytes, and where only one of them is a text', () => {
    const binary = (sha256: string): Outcome => answered({ body: { kind: 'binary', sha256, bytes: 9 } })
    expect(differ(binary('a'.repeat(64)), binary('a'.repeat(64)))).toEqual([])
    expect(differ(binary('a'.repeat(64)), binary('b'.repeat(64)))).toEqual([
      'body: sha256 aaaaaaaaaaaa, 9 bytes | sha256 bbbbbbbbbbbb, 9 bytes',
    ])
    expect(differ(binary('a'.repeat(64)), answered({ body: { kind: 'text', text: 'abc' } }))).toHaveLength(1)
  })

  it('where one of them, or neither, answers', () => {
    const none: Outcome = { failure: 'the connection is refused', ms: 1 }
    expect(differ(none, answered({}))).toEqual(['answer: none: the connection is refused | 200'])
    expect(differ(none, none)).toHaveLength(1)
  })

  it('and say so where one side differs from itself, too', () => {
    const masks = { rules: [], defaults: true }
    const found = compareOutcomes(json({ a: 1, b: 1 }), json({ a: 2, b: 2 }), masks)
    const again = compareOutcomes(json({ a: 1, b: 1 }), json({ a: 3, b: 1 }), masks)
    expect(markUnsteady(found, again).map(({ path, unsteady }) => [path, unsteady])).toEqual([
      ['$.a', true],
      ['$.b', false],
    ])
  })
})

describe('comparing', () => {
  const none = { rules: [], defaults: false }

  it('finds nothing between a value and itself, and something where a leaf changed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        expect(diffJson(readJson(text), readJson(text), none)).toEqual([])
        expect(diffJson({ value: readJson(text) }, { value: ['other', readJson(text)] }, none)).not.toEqual(
          [],
        )
      }),
    )
  })

  it('finds something exactly where the values are not equal', () => {
    const small = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(0, 1, 'a', 'b', null, true),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'constructor'), tie('value')),
      ),
    })).value
    fc.assert(
      fc.property(small, small, (left, right) => {
        const sorted = (value: unknown): string =>
          JSON.stringify(value, (_key, inner: unknown) =>
            typeof inner === 'object' && inner !== null && !Array.isArray(inner)
              ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
              : inner,
          )
        expect(diffJson(left, right, none).length === 0).toBe(sorted(left) === sorted(right))
      }),
    )
  })

  it('keeps every line of both texts, in order', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 })
    fc.assert(
      fc.property(lines, lines, (left, right) => {
        const all = alignLines(left, right)
        expect(all.filter(({ sign }) => sign !== '+').map((line) => line.text)).toEqual(left)
        expect(all.filter(({ sign }) => sign !== '-').map((line) => line.text)).toEqual(right)
      }),
    )
  })

  it('tells a middle of many lines as replaced whole', () => {
    const left = Array.from({ length: 3000 }, (_, index) => `l${String(index)}`)
    const right = Array.from({ length: 3000 }, (_, index) => `r${String(index)}`)
    expect(alignLines(['a', ...left, 'z'], ['a', ...right, 'z'])).toHaveLength(6002)
  })
})
