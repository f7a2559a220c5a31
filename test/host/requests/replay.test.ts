import type { RequestListener } from 'node:http'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readRequests } from '../../../src/core/exchange-read.js'
import type { Compared } from '../../../src/core/exchange-report.js'
import { replay, type ReplayOptions } from '../../../src/host/requests/replay.js'
import { fakeStack, textOf, type FakeStack } from './world.js'

const clock = { now: () => Date.now(), monotonic: () => performance.now() }

interface Replayed {
  readonly left: FakeStack
  readonly right: FakeStack
  readonly compared: readonly Compared[]
}

/** Sends the requests of a YAML text to two servers. */
async function replayed(
  yaml: string,
  [left, right]: readonly [RequestListener, RequestListener],
  options: Partial<ReplayOptions> = {},
): Promise<Replayed> {
  await using one = await fakeStack(left)
  await using other = await fakeStack(right)
  const { file, problems } = readRequests(yaml, 'test.yaml')
  if (file === null) throw new Error(JSON.stringify(problems))
  const compared: Compared[] = []
  const all = {
    left: one.url,
    right: other.url,
    repeat: 1,
    safeOnly: false,
    timeoutMs: 10_000,
    env: {},
    clock,
    ...options,
  }
  for await (const result of replay(file, all, AbortSignal.timeout(20_000))) compared.push(result)
  return { left: one, right: other, compared }
}

/** `same`, `not sent: why`, or the differences as `part path: left | right`. */
function told({ compared }: Replayed): readonly string[] {
  return compared.map(({ result, held }) => {
    if (result === null) return `not sent: ${held?.reason ?? ''}`
    const found = result.differences.map(
      ({ part, path, left, right }) => `${part} ${path ?? ''}: ${left ?? '-'} | ${right ?? '-'}`,
    )
    return found.length === 0 ? 'same' : found.join('; ')
  })
}

/** Answers with what it was asked, so that a difference tells what was sent. */
const mirror: RequestListener = (request, response) => {
  void textOf(request).then((body) => {
    const { method, url, headers } = request
    const { host: _host, connection: _connection, ...others } = headers
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ method, url, headers: others, body }))
  })
}
const silent: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{}')
}

function sentLeft({ compared }: Replayed, index: number): Record<string, unknown> {
  const outcome = compared[index]?.result?.left.outcome
  if (outcome === undefined || 'failure' in outcome || outcome.answer.body.kind !== 'text')
    throw new Error('no answer')
  return JSON.parse(outcome.answer.body.text) as Record<string, unknown>
}

describe('requests that are sent to two stacks', () => {
  it('come to each in the order of the file, and are the same where the answers are', async () => {
    const result = await replayed('- GET /a\n- POST /b\n- GET /c\n', [mirror, mirror])
    expect(told(result)).toEqual(['same', 'same', 'same'])
    expect(result.left.asked).toEqual(['GET /a', 'POST /b', 'GET /c'])
    expect(result.right.asked).toEqual(result.left.asked)
  })

  it('carry what the file says', async () => {
    const result = await replayed(
      `
- request: POST /a?q=café&x=%20
  headers: { X-A: [1, 2] }
  json: { name: Ada }
- request: POST /b
  form: { a: "1 2", b: [x, y] }
- request: PUT /c
  base64: aGk=
`,
      [mirror, silent],
    )
    expect(sentLeft(result, 0)).toMatchObject({
      url: '/a?q=caf%C3%A9&x=%20',
      headers: { 'x-a': '1, 2', 'content-type': 'application/json', 'content-length': '14' },
      body: '{"name":"Ada"}',
    })
    expect(sentLeft(result, 1)).toMatchObject({
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'a=1+2&b=x&b=y',
    })
    expect(sentLeft(result, 2)).toMatchObject({ body: 'hi' })
  })

  it('carry to each stack the session and the values that it gave itself', async () => {
    const shop =
      (session: string, id: number): RequestListener =>
      (request, response) => {
        response.setHeader('content-type', 'application/json')
        if (request.url === '/login') {
          response.setHeader('set-cookie', `sid=${session}; HttpOnly`)
          response.end(JSON.stringify({ token: `t-${session}`, id }))
          return
        }
        const good =
          request.headers.cookie === `sid=${session}` &&
          request.headers.authorization === `Bearer t-${session}` &&
          request.url === `/orders/${String(id)}`
        response.statusCode = good ? 200 : 401
        response.end('{}')
      }
    const yaml = `
- request: POST /login
  keep: { token: $.token, id: $.id }
- request: GET /orders/\${id}
  headers: { Authorization: "Bearer \${token}", Cookie: sid=recorded }
`
    const result = await replayed(yaml, [shop('one', 1), shop('two', 22)])
    expect(told(result)).toEqual(['same', 'same'])
    expect(result.compared[1]?.result?.right.outcome).toMatchObject({ answer: { status: 200 } })
  })

  it('differ freely in a value that each stack gave itself, wherever it comes again, and in nothing beside it', async () => {
    const shop =
      (id: number, version: number): RequestListener =>
      (request, response) => {
        if (request.url === '/page') {
          response.setHeader('content-type', 'text/html')
          response.end(`<a href="/orders/${String(id)}">Order ${String(id)}</a> of version 7`)
          return
        }
        response.setHeader('content-type', 'application/json')
        response.setHeader('location', `/orders/${String(id)}`)
        response.end(JSON.stringify({ id, self: `/orders/${String(id)}`, parent: { id }, version, count: 7 }))
      }
    const yaml = `
- request: POST /orders
  keep: { id: $.id }
- GET /orders/\${id}
- GET /page
`
    expect(told(await replayed(yaml, [shop(7, 1), shop(12, 1)]))).toEqual(['same', 'same', 'same'])
    const version = 'body $.version: 1 | 2'
    expect(told(await replayed(yaml, [shop(7, 1), shop(12, 2)]))).toEqual([version, version, 'same'])
  })

  it('take secrets from the environment, and nothing else from there', async () => {
    const yaml = '- request: POST /\n  json: { password: "${DEVSTACK_SECRET_PASSWORD}" }\n'
    const env = { DEVSTACK_SECRET_PASSWORD: 'a"b' }
    const result = await replayed(yaml, [mirror, mirror], { env })
    expect(sentLeft(result, 0)).toMatchObject({ body: '{"password":"a\\"b"}' })
    const path = '- request: GET /login\n  keep: { PATH: $.none }\n- GET /${PATH}\n'
    expect(told(await replayed(path, [mirror, mirror], { env: { PATH: '/bin' } }))[1]).toMatch(
      /^not sent: .*\$\{PATH\}/,
    )
  })

  it('are not sent where an answer before lacked what they need, and that is no agreement', async () => {
    const yaml = '- request: GET /a\n  keep: { id: $.id }\n- GET /b/${id}\n'
    const has: RequestListener = (_request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('{"id":1}')
    }
    const result = await replayed(yaml, [has, silent])
    expect(told(result)).toEqual([
      'body $.id: 1 | -',
      'not sent: no answer before this had ${id} on both sides',
    ])
    expect(result.compared[1]?.held?.wanted).toBe(false)
  })

  it('are held back where only safe ones are asked for', async () => {
    const result = await replayed('- GET /a\n- POST /b\n- HEAD /c\n', [mirror, mirror], { safeOnly: true })
    expect(result.left.asked).toEqual(['GET /a', 'HEAD /c'])
    expect(told(result)[1]).toBe('not sent: --safe-only: POST may change data')
  })

  it('are sent again and again for their times, but never those that change data', async () => {
    const result = await replayed('- GET /a\n- POST /b\n', [mirror, mirror], { repeat: 3 })
    expect(result.right.asked).toEqual(['GET /a', 'GET /a', 'GET /a', 'POST /b'])
  })

  it('tell what differs from one answer of a stack to its next', async () => {
    let count = 0
    const counting: RequestListener = (_request, response) => {
      count += 1
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ count, name: 'left' }))
    }
    const fixed: RequestListener = (_request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('{"count":0,"name":"right"}')
    }
    const { compared } = await replayed('- GET /\n', [counting, fixed], { repeat: 2 })
    expect(compared[0]?.result?.differences.map(({ path, unsteady }) => [path, unsteady])).toEqual([
      ['$.count', true],
      ['$.name', false],
    ])
  })

  it('are not followed where they lead elsewhere', async () => {
    const moved: RequestListener = (request, response) => {
      response
        .writeHead(302, { location: `http://127.0.0.1:${String(request.socket.localPort)}/login` })
        .end()
    }
    const result = await replayed('- GET /a\n', [moved, moved])
    expect(told(result)).toEqual(['same'])
    expect(result.left.asked).toEqual(['GET /a'])
  })
})

describe('answers', () => {
  const answering =
    (body: Buffer | string, headers: Readonly<Record<string, string>>): RequestListener =>
    (_request, response) => {
      response.writeHead(200, headers).end(body)
    }

  it('are compared without their compression', async () => {
    const text = { 'content-type': 'text/plain' }
    const packed = answering(gzipSync('hello'), { ...text, 'content-encoding': 'gzip' })
    const other = answering(brotliCompressSync('hello'), { ...text, 'content-encoding': 'br' })
    expect(told(await replayed('- GET /\n', [packed, other]))).toEqual(['header content-encoding: gzip | br'])
    expect(told(await replayed('- HEAD /\n', [packed, packed]))).toEqual(['same'])
  })

  it('that are no text are compared by their bytes', async () => {
    const image = { 'content-type': 'image/png' }
    const result = await replayed('- GET /\n', [
      answering(Buffer.from([1, 2]), image),
      answering(Buffer.from([1, 3]), image),
    ])
    expect(told(result)).toEqual([
      expect.stringMatching(/^body : sha256 \w{12}, 2 bytes \| sha256 \w{12}, 2 bytes$/),
    ])
  })

  it('that never end are compared by what stands before them', async () => {
    const stream: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n')
    }
    expect(told(await replayed('- GET /\n- GET /\n', [stream, stream]))).toEqual(['same', 'same'])
  })

  it('that do not come, or break off, are told with why', async () => {
    const never: RequestListener = () => undefined
    const broken: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('x', () => response.destroy())
    }
    const result = await replayed('- GET /\n', [never, broken], { timeoutMs: 200 })
    expect(told(result)).toEqual([expect.stringMatching(/^answer : none: nothing within 0\.2 s \| none: .+/)])
  })

  it('are waited for until the signal says no', async () => {
    await using stack = await fakeStack(() => undefined)
    const { file } = readRequests('- GET /\n', 'test.yaml')
    if (file === null) throw new Error('no file')
    const controller = new AbortController()
    const options = {
      left: stack.url,
      right: stack.url,
      repeat: 1,
      safeOnly: false,
      timeoutMs: 60_000,
      env: {},
      clock,
    }
    const next = replay(file, options, controller.signal).next()
    controller.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
  })
})
