import { describe, expect, it } from 'vitest'
import type { Answer, Outcome, PlannedRequest } from '../../src/core/exchange.js'
import { compareOutcomes } from '../../src/core/exchange-compare.js'
import { summarise, unsafeOf, type Compared } from '../../src/core/exchange-report.js'
import { comparedLines, headLine, layoutOf, msText, summaryLine } from '../../src/core/exchange-text.js'

const at = { file: 'shop.yaml', line: 1, column: 1 }
const plain = { headers: [], body: { kind: 'none' }, keep: [], masks: [], skip: null, at } as const

function planned(line: string): PlannedRequest {
  const [method = '', target = ''] = line.split(' ')
  return { ...plain, method, target }
}

type Told = readonly [status: number, body: unknown, headers?: Answer['headers']]

function compared(
  line: string,
  left: Told | string,
  right: Told | string,
  ms: readonly [number, number],
): Compared {
  const [one, other] = [left, right].map((told, side): Outcome => {
    const time = ms[side] ?? 0
    if (typeof told === 'string') return { failure: told, ms: time }
    const [status, body, headers = []] = told
    const type = typeof body === 'string' ? 'text/html' : 'application/json'
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return {
      answer: { status, headers: [['content-type', type], ...headers], body: { kind: 'text', text } },
      ms: time,
    }
  }) as [Outcome, Outcome]
  const differences = compareOutcomes(one, other, { rules: [], defaults: true })
  return {
    request: planned(line),
    result: { left: { outcome: one, ms: ms[0] }, right: { outcome: other, ms: ms[1] }, differences },
    held: null,
  }
}

function heldBack(line: string, reason: string, wanted: boolean): Compared {
  return { request: planned(line), result: null, held: { reason, wanted } }
}

function shown(all: readonly Compared[], width: number): string {
  const layout = layoutOf(
    all.map(({ request }) => request),
    { left: 'compose', right: 'kind' },
    width,
    false,
  )
  const lines = [
    headLine(layout),
    ...all.flatMap((one) => comparedLines(one, layout)),
    summaryLine(summarise(all), layout),
  ]
  return `\n${lines.map(({ text }) => text).join('\n')}\n`
}

const items = (count: number): readonly object[] =>
  Array.from({ length: count }, (_, id) => ({ id, stock: id }))

const ALL: readonly Compared[] = [
  compared('GET /', [200, '<p>\nShop\n</p>'], [200, '<p>\nShop!\n</p>'], [4.1, 6.2]),
  compared('GET /api/products?page=1', [200, { items: items(3) }], [200, { items: items(3) }], [11, 13.4]),
  compared(
    'GET /api/products?page=2',
    [200, { items: items(9) }],
    [200, { items: items(9).map((item) => ({ ...item, stock: 'many' })) }],
    [9, 9],
  ),
  compared(
    'POST /api/products',
    [201, { id: 1, name: 'Lamp' }],
    [422, { errors: { name: 'too long' } }, [['x-frame-options', 'DENY']]],
    [9, 8.1],
  ),
  compared('DELETE /api/products/7', [204, ''], 'the connection is refused', [3, 1]),
  compared(
    'GET /api/products/1?with=a-rather-long-query-that-no-terminal-of-eighty-columns-holds',
    [200, { description: `${'A lamp of brass and glass, '.repeat(5)}made in Ulm` }],
    [200, { description: `${'A lamp of brass and glass, '.repeat(5)}made in Bonn` }],
    [1234, 990],
  ),
  compared(
    'GET /app.js',
    [200, `const a = 1;${'b();'.repeat(60)}x="one"`],
    [200, `const a = 1;${'b();'.repeat(60)}x="two"`],
    [0.4, 12],
  ),
  heldBack('POST /upload', 'its body of 3.2 MB was not kept', true),
  heldBack('GET /api/orders/${id}', 'no answer before this had ${id} on both sides', false),
]

describe('a comparison as people read it', () => {
  it('has a line for each request, and its differences below', () => {
    expect(shown(ALL, 80)).toMatchInlineSnapshot(`
      "
        REQUEST                                     STATUS    compose      kind
      ✗ GET    /                                    200        4.1 ms    6.2 ms   x1.5
          body, line 2: - compose, + kind
              <p>
            - Shop
            + Shop!
              </p>
      ✓ GET    /api/products?page=1                 200         11 ms     13 ms   x1.2
      ✗ GET    /api/products?page=2                 200        9.0 ms    9.0 ms   x1.0
          $.items[0].stock  compose 0  kind "many"
          $.items[1].stock  compose 1  kind "many"
          $.items[2].stock  compose 2  kind "many"
          $.items[3].stock  compose 3  kind "many"
          $.items[4].stock  compose 4  kind "many"
          $.items[5].stock  compose 5  kind "many"
          and 3 more: --verbose shows all
      ✗ POST   /api/products                        201|422    9.0 ms    8.1 ms   x0.9
          header x-frame-options  compose missing  kind DENY
          $.id                    compose 1  kind missing
          $.name                  compose "Lamp"  kind missing
          $.errors                compose missing  kind {"name":"too long"}
      ✗ DELETE /api/products/7                      204|–      3.0 ms         –
          answer  compose 204  kind none: the connection is refused
      ✗ GET    /api/products/1?with=a-rather-long-… 200         1.2 s    990 ms   x0.8
          $.description
            compose  …amp of brass and glass, A lamp of brass and glass, made in Ulm"
            kind     …amp of brass and glass, A lamp of brass and glass, made in Bonn"
      ✗ GET    /app.js                              200        0.4 ms     12 ms    x30
          body, line 1: - compose, + kind
            - …b();b();b();b();b();b();b();b();b();b();b();b();b();b();b();b();x="one"
            + …b();b();b();b();b();b();b();b();b();b();b();b();b();b();b();b();x="two"
      – POST   /upload  not sent: its body of 3.2 MB was not kept
      – GET    /api/orders/\${id}
          not sent: no answer before this had \${id} on both sides
      6 of 7 differ, 2 of 9 could not be sent; kind takes x1.1 (median)
      "
    `)
  })

  it.each([60, 80, 120])('fits into %i columns', (width) => {
    const long = shown(ALL, width)
      .split('\n')
      .filter((line) => line.length > width)
    expect(long).toEqual([])
  })

  it('moves no cursor and changes no colour, whatever a stack answers', () => {
    const evil = '\u001B[2J\u001B]52;c;aGk=\u0007'
    const text = shown(
      [compared('GET /', [200, { a: evil }, [['x', evil]]], [200, 'b', [['y', `${evil}2`]]], [1, 1])],
      80,
    )
    // eslint-disable-next-line no-control-regex -- finding them is the point
    expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
  })

  it('sums up what was compared, and what not', () => {
    const two = ALL.slice(1, 2)
    const layout = layoutOf(
      ALL.map(({ request }) => request),
      { left: 'compose', right: 'kind' },
      80,
      false,
    )
    expect(summaryLine(summarise(two), layout)).toEqual({
      text: 'the answers are the same; kind takes x1.2 (median)',
      tone: 'good',
    })
    expect(summaryLine(summarise([...two, ...ALL.slice(-1)]), layout)).toMatchObject({ tone: 'warn' })
    expect(summaryLine(summarise(ALL.slice(-1)), layout)).toMatchObject({ tone: 'bad' })
  })

  it.each([
    [0.42, '0.4 ms'],
    [9.96, '10 ms'],
    [31.4, '31 ms'],
    [1234, '1.2 s'],
  ])('tells %f as %s', (ms, text) => {
    expect(msText(ms)).toBe(text)
  })

  it('counts what changes data', () => {
    expect(unsafeOf(ALL.map(({ request }) => request))).toEqual({ count: 3, methods: ['POST', 'DELETE'] })
  })
})
