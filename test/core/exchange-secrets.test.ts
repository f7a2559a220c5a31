import { describe, expect, it } from 'vitest'
import type { HeaderList } from '../../src/core/exchange.js'
import { recordRequest, type RecordedEntry, type SeenBody } from '../../src/core/exchange-record.js'
import { createRedactor, type Redactor } from '../../src/core/exchange-secrets.js'

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl'
const ORIGIN = 'http://127.0.0.1:9000'

interface Seen {
  readonly target?: string
  readonly headers?: HeaderList
  readonly text?: string
  readonly body?: SeenBody
}

function recorded(redactor: Redactor, { target = '/', headers = [], text, body }: Seen): RecordedEntry {
  const sent: SeenBody = text === undefined ? { kind: 'none' } : { kind: 'text', text }
  return recordRequest({ method: 'POST', target, headers, body: body ?? sent, origin: ORIGIN }, redactor)
}

describe('a recording holds no secret', () => {
  it.each<[string, Seen]>([
    ['in a header', { headers: [['Authorization', 'Bearer hunter22']] }],
    ['in a header of its own', { headers: [['X-Api-Key', 'hunter22']] }],
    ['in a cookie', { headers: [['Cookie', 'sid=hunter22; theme=hunter22']] }],
    ['in the query', { target: '/cb?state=1&access_token=hunter22' }],
    ['in where it comes from', { headers: [['Referer', `${ORIGIN}/cb?token=hunter22`]] }],
    ['in JSON', { text: '{"user":"ada","login":{"password":"hunter22","pin":1234}}' }],
    [
      'in JSON that is said to be text',
      { headers: [['Content-Type', 'text/plain']], text: ' [{"secret":"hunter22"}]' },
    ],
    [
      'in a form',
      {
        headers: [['Content-Type', 'application/x-www-form-urlencoded']],
        text: 'user=ada&passwd=hunter22&csrf_token=hunter22',
      },
    ],
    [
      'in a form with parts',
      {
        headers: [['Content-Type', 'multipart/form-data; boundary=xx']],
        text: '--xx\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter22\r\n--xx\r\nContent-Disposition: form-data; name="user"\r\n\r\nada\r\n--xx--\r\n',
      },
    ],
    [
      'in a form with parts and a file',
      {
        headers: [['Content-Type', 'multipart/form-data; boundary=xx']],
        body: {
          kind: 'bytes',
          base64: 'aHVudGVyMjI=',
          latin1: '--xx\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter22\r\n--xx--\r\n',
        },
      },
    ],
    ['that looks like a token, under any name', { text: `{"q":"${JWT}"}`, target: `/x?q=${JWT}` }],
  ])('%s', (_where, seen) => {
    const text = JSON.stringify(recorded(createRedactor(false), seen))
    expect(text).not.toMatch(/hunter22|aHVudGVyMjI|1234|eyJ/)
    // And with --include-secrets it is there.
    if (seen.body === undefined)
      expect(JSON.stringify(recorded(createRedactor(true), seen))).toMatch(/hunter22|eyJ/)
  })

  it('but says which variable stands for each, another one for another value', () => {
    const redactor = createRedactor(false)
    const login = (password: string): RecordedEntry =>
      recorded(redactor, { text: JSON.stringify({ user: 'ada', password }) })
    expect([login('one'), login('two'), login('one')].map(({ json }) => json)).toEqual([
      { user: 'ada', password: '${DEVSTACK_SECRET_PASSWORD}' },
      { user: 'ada', password: '${DEVSTACK_SECRET_PASSWORD_2}' },
      { user: 'ada', password: '${DEVSTACK_SECRET_PASSWORD}' },
    ])
    expect(redactor.variables()).toEqual(['DEVSTACK_SECRET_PASSWORD', 'DEVSTACK_SECRET_PASSWORD_2'])
  })

  it('and leaves everything else as it was sent', () => {
    const text = '{ "n": 9007199254740993, "price": 1.50, "tpl": "`${x}`" }'
    expect(recorded(createRedactor(false), { text, target: '/a?b=%20c&d' })).toEqual({
      request: 'POST /a?b=%20c&d',
      body: '{ "n": 9007199254740993, "price": 1.50, "tpl": "`$${x}`" }',
    })
  })
})

describe('what the stack answered', () => {
  it('is asked of each stack again, where later requests carry it', () => {
    const redactor = createRedactor(false)
    expect(
      redactor.learn({ setCookies: [], text: `{"user":{"access_token":"${JWT}"}}`, json: true }),
    ).toEqual({
      access_token: '$.user.access_token',
    })
    expect(recorded(redactor, { headers: [['Authorization', `Bearer ${JWT}`]] }).headers).toEqual({
      Authorization: 'Bearer ${access_token}',
    })
    expect(redactor.variables()).toEqual([])
  })

  it('in a page: the token of its form', () => {
    const redactor = createRedactor(false)
    const page = '<form><input type="hidden" name="csrf_token" value="IjY3ZmE.abc"></form>'
    const keep = redactor.learn({ setCookies: [], text: page, json: false })
    const [pattern = ''] = Object.values(keep)
    expect(Object.keys(keep)).toEqual(['csrf_token'])
    expect(new RegExp(pattern.slice(1, -1), 'u').exec(page)?.[1]).toBe('IjY3ZmE.abc')
    const headers = [['Content-Type', 'application/x-www-form-urlencoded']] as const
    expect(recorded(redactor, { headers, text: 'csrf_token=IjY3ZmE.abc&name=Lamp' }).form).toEqual({
      csrf_token: '${csrf_token}',
      name: 'Lamp',
    })
  })

  it('in a cookie that a page reads and sends back', () => {
    const redactor = createRedactor(false)
    const setCookies = ['csrftoken=abcdefgh12; Path=/', 'sid=s3cr3ts3cr3t; HttpOnly']
    expect(redactor.learn({ setCookies, text: null, json: false })).toEqual({ csrftoken: 'cookie csrftoken' })
    const headers = [
      ['X-CSRFToken', 'abcdefgh12'],
      ['Cookie', 'csrftoken=abcdefgh12; sid=s3cr3ts3cr3t; old=1'],
    ] as const
    expect(recorded(redactor, { headers }).headers).toEqual({ 'X-CSRFToken': '${csrftoken}' })
    expect(redactor.strangers()).toEqual(['old'])
  })
})

describe('a recorded request', () => {
  it('is without what belongs to one connection, one cache or one address', () => {
    const headers = [
      ['Host', '127.0.0.1:9000'],
      ['Connection', 'keep-alive'],
      ['Content-Length', '3'],
      ['If-None-Match', '"x"'],
      ['Accept', '*/*'],
      ['Origin', ORIGIN],
      ['Referer', `${ORIGIN}/products?page=2`],
    ] as const
    expect(recorded(createRedactor(false), { headers }).headers).toEqual({
      Accept: '*/*',
      Origin: '${origin}',
      Referer: '${origin}/products?page=2',
    })
  })

  it('keeps the name by which a virtual host was asked', () => {
    const { headers } = recorded(createRedactor(false), { headers: [['Host', 'shop.localhost:9000']] })
    expect(headers).toEqual({ Host: 'shop.localhost:${port}' })
  })

  it('does not take another port of this machine for its own', () => {
    const { headers } = recorded(createRedactor(false), { headers: [['Origin', `${ORIGIN}1`]] })
    expect(headers).toEqual({ Origin: `${ORIGIN}1` })
  })

  it('notes a body that was too long to keep', () => {
    expect(recorded(createRedactor(false), { body: { kind: 'tooLong', bytes: 3_200_000 } })).toEqual({
      request: 'POST /',
      skip: 'its body of 3.2 MB was not kept',
    })
  })
})
