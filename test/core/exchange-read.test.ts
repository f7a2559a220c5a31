import { describe, expect, it } from 'vitest'
import { formatPosition } from '../../src/core/error.js'
import { readRequests } from '../../src/core/exchange-read.js'

/** Every problem as `file:line:column message (hint)`. */
function problems(text: string, file = 'shop.yaml'): readonly string[] {
  return readRequests(text, file).problems.map(
    ({ at, message, hint }) =>
      `${at === null ? '' : formatPosition(at)} ${message}${hint === null ? '' : ` (${hint})`}`,
  )
}

describe('a file of requests that is written by hand', () => {
  it('may be no more than a list of lines', () => {
    const { file } = readRequests('- GET /\n- DELETE /api/products/7\n', 'shop.yaml')
    expect(file?.requests.map(({ method, target, at }) => [method, target, at.line])).toEqual([
      ['GET', '/', 1],
      ['DELETE', '/api/products/7', 2],
    ])
    expect(file?.defaults).toBe(true)
  })

  it('says what is sent, what is kept, and what may differ', () => {
    const { file } = readRequests(
      `
mask:
  - json: $..id
  - header: X-Served-By
  - text: build [0-9a-f]+
requests:
  - request: POST /api/login
    headers: { Accept: [text/html, application/json], X-Version: 2 }
    json: { user: ada, password: "\${DEVSTACK_SECRET_PASSWORD}" }
    keep: { token: $.token }
  - request: GET /api/me?full
    headers: { Authorization: "Bearer \${token}" }
    mask: [{ json: $.seen }]
`,
      'shop.yaml',
    )
    expect(file?.masks.map(({ kind }) => kind)).toEqual(['json', 'header', 'text'])
    expect(file?.requests[0]).toMatchObject({
      method: 'POST',
      headers: [
        ['Accept', 'text/html'],
        ['Accept', 'application/json'],
        ['X-Version', '2'],
      ],
      body: { kind: 'json', value: { user: 'ada' } },
      keep: [{ name: 'token', source: { from: 'json' } }],
    })
    expect(file?.requests[1]?.masks).toMatchObject([{ kind: 'json', path: { text: '$.seen' } }])
  })

  it('is told every mistake at its place, with what was meant', () => {
    expect(
      problems(`
mask:
  - jsn: $.id
  - json: id
  - text: "[0-9"
requests:
  - get /
  - request: GET api
    heders: {}
  - request: POST /x
    body: a
    json: {}
  - request: GET /\${tokn}
  - request: GET /
    headers: { "X Y": 1, X-Y: "a\\nb" }
    keep: { 1st: $.a, b: c }
`),
    ).toMatchInlineSnapshot(`
      [
        "shop.yaml:3:5 unknown key "jsn" (did you mean "json"?)",
        "shop.yaml:4:11 "id" is no JSON path (like $.items[*].id or $..created_at)",
        "shop.yaml:5:11 "[0-9" is no regular expression (quote what is meant literally: \\[ \\( \\.)",
        "shop.yaml:7:5 "get /" is no request (write the method and the path: GET /api/products?page=2)",
        "shop.yaml:8:14 "GET api" is no request (write the method and the path: GET /api/products?page=2)",
        "shop.yaml:9:5 unknown key "heders" (did you mean "headers"?)",
        "shop.yaml:12:11 body and json: one request has one body",
        "shop.yaml:13:14 nothing before this keeps \${tokn} (keep it of an earlier answer, or write $\${ for a plain \${)",
        "shop.yaml:15:23 "X Y" is no header name",
        "shop.yaml:15:31 headers.X-Y: a header holds no line breaks and no letters beyond Latin-1",
        "shop.yaml:16:18 "1st" is no name (letters, digits and _)",
        "shop.yaml:16:26 keep.b: "c" names no place (like $.token, header X-Token, cookie sid or /id="(.+?)"/)",
      ]
    `)
  })

  it('takes a misspelt name for a mistake, and $${ for a plain ${', () => {
    const login = '- request: POST /login\n  keep: { token: $.t }\n'
    expect(problems(`${login}- GET /me?t=\${tokn}\n`)).toEqual([
      'shop.yaml:3:3 nothing before this keeps ${tokn} (did you mean ${token}?)',
    ])
    expect(problems('- request: POST /\n  body: "const a = `$${b}`"\n')).toEqual([])
  })

  it.each(['', 'a: 1', '"GET /"'])('is a list: %j is none', (text) => {
    expect(problems(text)).toHaveLength(1)
  })

  it('tells YAML that is none with its line', () => {
    expect(problems('- GET /\n- "GET /a\n')[0]).toMatch(/^shop\.yaml:\d:\d+ /)
  })
})

describe('a recording', () => {
  it('is one JSON object a line, with a first line about itself', () => {
    const text = [
      '{"schema":"devstack.requests/1","defaults":false}',
      '{"request":"GET /","at":"2026-01-01T00:00:00.000Z","status":200,"ms":1.5}',
      '',
      '{"request":"POST /upload","skip":"its body of 3.2 MB was not kept"}',
    ].join('\n')
    const { file } = readRequests(text, 'shop.ndjson')
    expect(file?.defaults).toBe(false)
    expect(file?.requests.map(({ skip, at }) => [skip, at.line])).toEqual([
      [null, 2],
      ['its body of 3.2 MB was not kept', 4],
    ])
  })

  it('is told a broken line and a strange key at their lines', () => {
    const found = problems('{"request":"GET /"}\n{"request":\n{"request":"GET /","bodi":"a"}', 'shop.ndjson')
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/^shop\.ndjson:2:1 no JSON/)
    expect(problems('{"request":"GET /","bodi":"a"}', 'shop.ndjson')).toEqual([
      'shop.ndjson:1:1 unknown key "bodi" (did you mean "body"?)',
    ])
  })
})
