import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CommandContext } from '../../src/cli/commands.js'
import { compare, type CompareOptions } from '../../src/cli/commands/compare.js'
import { recordUntil, type RecordOptions } from '../../src/cli/commands/record.js'
import { ask, fakeStack, type FakeStack } from '../host/requests/world.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ds-cmp-'))
})
afterEach(async () => rm(folder, { recursive: true }))

interface Printed {
  out: string
  err: string
}

function contextOf(
  printed: Printed,
  env: Readonly<Record<string, string>> = {},
  verbose = false,
): CommandContext {
  const stream = (name: 'out' | 'err'): NodeJS.WriteStream =>
    Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          printed[name] += chunk.toString()
          done()
        },
      }),
      { columns: 80 },
    ) as unknown as NodeJS.WriteStream
  return {
    io: {
      env: { HOME: folder, ...env },
      cwd: folder,
      stdin: process.stdin,
      stdout: stream('out'),
      stderr: stream('err'),
    },
    globals: {
      config: null,
      projectName: null,
      cwd: folder,
      color: false,
      verbose,
      yes: false,
      engine: null,
      server: null,
    },
  }
}

interface Run extends Partial<CompareOptions> {
  readonly file?: string
  readonly env?: Readonly<Record<string, string>>
  readonly verbose?: boolean
}

async function run(
  left: string,
  right: string,
  { file = 'requests.yaml', env, verbose, ...options }: Run = {},
): Promise<Printed & { readonly code: number }> {
  const printed: Printed = { out: '', err: '' }
  const context = contextOf(printed, env, verbose)
  const code = await compare(context, left, right, file, { repeat: '1', timeout: '30s', ...options })
  return { code, ...printed }
}

async function requests(text: string): Promise<void> {
  await writeFile(join(folder, 'requests.yaml'), text)
}

/** Times, ratios and ports are different each time; their columns stay. */
function steady(text: string): string {
  const same = (value: string) => (found: string) => value.padStart(found.length)
  return text
    .replaceAll(/(?<=127\.0\.0\.1:)\d+/g, 'PORT')
    .replaceAll(/(?<=^|[ (]):\d{4,5}\b/gm, ':PORT')
    .replaceAll(/ +\d+(?:\.\d)? ms/g, same('0.0 ms'))
    .replaceAll(/ +x\d+(?:\.\d)?/g, same('x1.0'))
}

const shop =
  (variant: { readonly name: string; readonly title: string; readonly status: number }): RequestListener =>
  (request, response) => {
    request.resume()
    request.on('end', () => {
      const long = `${'a very long description of a lamp, '.repeat(6)}${variant.name}`
      if (request.url === '/') {
        response.setHeader('content-type', 'text/html; charset=utf-8')
        response.end(`<html>\n<head>\n<title>${variant.title}</title>\n</head>\n</html>\n`)
        return
      }
      response.setHeader('content-type', 'application/json')
      if (request.method === 'POST') {
        response.statusCode = variant.status
        response.setHeader('x-frame-options', variant.name)
        response.end(JSON.stringify({ id: 1, name: variant.name, created_at: new Date().toISOString() }))
        return
      }
      const more = request.url?.startsWith('/long') === true ? { description: long } : {}
      response.end(JSON.stringify({ items: [{ id: 1 }], ...more }))
    })
  }
const same = { name: 'deny', title: 'Shop', status: 201 }
const other = { name: 'same-origin', title: 'Shop!', status: 422 }

async function shops(
  left: RequestListener,
  right: RequestListener,
  use: (left: FakeStack, right: FakeStack) => Promise<void>,
): Promise<void> {
  await using one = await fakeStack(left)
  await using two = await fakeStack(right)
  await use(one, two)
}

const FILE = `
requests:
  - GET /
  - GET /api/products?page=1&sort=price&order=descending&filter=lamps-and-shades
  - request: POST /api/products
    json: { name: Lamp }
  - GET /long
  - request: POST /upload
    skip: its body of 3.2 MB was not kept
`

describe('devstack compare', () => {
  it('exits 0 where every answer is the same', async () => {
    await requests(FILE)
    await shops(shop(same), shop(same), async (left, right) => {
      const { code, out, err } = await run(left.url, right.url)
      expect(code).toBe(0)
      expect(err).toBe(
        'warning: 1 request changes data (POST), in each stack its own; --safe-only leaves it out\n',
      )
      expect(steady(out)).toMatchInlineSnapshot(`
        ":PORT http://127.0.0.1:PORT, :PORT http://127.0.0.1:PORT
        5 requests of requests.yaml

          REQUEST                                     STATUS     :PORT    :PORT
        ✓ GET  /                                      200        0.0 ms    0.0 ms   x1.0
        ✓ GET  /api/products?page=1&sort=price&order… 200        0.0 ms    0.0 ms   x1.0
        ✓ POST /api/products                          201        0.0 ms    0.0 ms   x1.0
        ✓ GET  /long                                  200        0.0 ms    0.0 ms   x1.0
        – POST /upload  not sent: its body of 3.2 MB was not kept

        all 4 answers are the same, 1 of 5 not sent; :PORT takes x1.0 (median)
        "
      `)
    })
  })

  it('exits 1 where one differs, and shows each difference below its request in 80 columns', async () => {
    await requests(FILE)
    await shops(shop(same), shop(other), async (left, right) => {
      const { code, out } = await run(left.url, right.url)
      expect(code).toBe(1)
      expect(out.split('\n').filter((line) => line.length > 80)).toEqual([])
      expect(steady(out)).toMatchInlineSnapshot(`
        ":PORT http://127.0.0.1:PORT, :PORT http://127.0.0.1:PORT
        5 requests of requests.yaml

          REQUEST                                     STATUS     :PORT    :PORT
        ✗ GET  /                                      200        0.0 ms    0.0 ms   x1.0
            body, line 3: - :PORT, + :PORT
                <head>
              - <title>Shop</title>
              + <title>Shop!</title>
                </head>
        ✓ GET  /api/products?page=1&sort=price&order… 200        0.0 ms    0.0 ms   x1.0
        ✗ POST /api/products                          201|422    0.0 ms    0.0 ms   x1.0
            header x-frame-options  :PORT deny  :PORT same-origin
            $.name                  :PORT "deny"  :PORT "same-origin"
        ✗ GET  /long                                  200        0.0 ms    0.0 ms   x1.0
            $.description
              :PORT  …iption of a lamp, a very long description of a lamp, deny"
              :PORT  …iption of a lamp, a very long description of a lamp, same-origin"
        – POST /upload  not sent: its body of 3.2 MB was not kept

        3 of 4 differ, 1 of 5 not sent; :PORT takes x1.0 (median)
        "
      `)
    })
  })

  it('shows long values whole where more is asked for', async () => {
    await requests('- GET /long')
    await shops(shop(same), shop(other), async (left, right) => {
      const { out } = await run(left.url, right.url, { verbose: true })
      expect(out).toContain(`"${'a very long description of a lamp, '.repeat(6)}same-origin"`)
    })
  })

  it('prints devstack.compare/1 and nothing else on stdout', async () => {
    await requests(FILE)
    await shops(shop(same), shop(other), async (left, right) => {
      const { out } = await run(left.url, right.url, { json: true })
      const value = JSON.parse(out) as { readonly requests: readonly Record<string, unknown>[] }
      expect(value).toMatchObject({
        schema: 'devstack.compare/1',
        file: join(folder, 'requests.yaml'),
        left: { url: left.url },
        right: { url: right.url },
        repeat: 1,
        summary: { requests: 5, same: 1, different: 3, notSent: 1, incomplete: 0 },
      })
      expect(value.requests[0]).toMatchObject({
        request: 'GET /',
        at: { line: 3 },
        outcome: 'different',
        notSent: null,
        left: { status: 200, failure: null },
        differences: [
          {
            part: 'body',
            path: null,
            diff: [' <head>', '-<title>Shop</title>', '+<title>Shop!</title>', ' </head>'],
            unsteady: false,
          },
        ],
      })
      expect(value.requests[2]).toMatchObject({
        differences: [
          { part: 'status', left: '201', right: '422' },
          { part: 'header', path: 'x-frame-options', left: 'deny', right: 'same-origin' },
          { part: 'body', path: '$.name', left: '"deny"', right: '"same-origin"' },
        ],
      })
      expect(value.requests[4]).toMatchObject({ outcome: 'notSent', left: null })
    })
  })

  it('sends nothing that may change data where that is asked for', async () => {
    await requests('- POST /api/products')
    await shops(shop(same), shop(same), async (left, right) => {
      const { code, out, err } = await run(left.url, right.url, { safeOnly: true })
      expect(code).toBe(2)
      expect(err).toBe('')
      expect(out).toContain('nothing was compared')
      expect(left.asked).toEqual([])
    })
  })

  it('exits 3 where a stack is not up, before anything is sent', async () => {
    await requests('- POST /api/products')
    await using left = await fakeStack(shop(same))
    const right = await fakeStack(shop(same))
    await right[Symbol.asyncDispose]()
    await expect(run(left.url, right.url)).rejects.toMatchObject({ code: 'ENGINE_NOT_RUNNING' })
    expect(left.asked).toEqual([])
  })

  it.each([
    ['https://127.0.0.1:8443'],
    ['http://shop.example.com'],
    ['http://192.168.1.2:80'],
    ['http://127.0.0.1.example.com'],
    ['http://localhost@example.com'],
    ['http://127.0.0.1:80/path'],
    ['podman'],
  ])('never sends to what is no stack of this machine: %s', async (where) => {
    await requests('- GET /')
    await using left = await fakeStack(shop(same))
    await expect(run(left.url, where)).rejects.toMatchObject({ code: 'USAGE' })
    expect(left.asked).toEqual([])
  })

  it('asks for the secrets that a recording left out', async () => {
    await requests('- request: POST /\n  json: { password: "${DEVSTACK_SECRET_PASSWORD}" }\n')
    await shops(shop(same), shop(same), async (left, right) => {
      await expect(run(left.url, right.url)).rejects.toMatchObject({
        code: 'USAGE',
        message: 'DEVSTACK_SECRET_PASSWORD is not set',
      })
      expect(left.asked).toEqual([])
      expect((await run(left.url, right.url, { env: { DEVSTACK_SECRET_PASSWORD: 'x' } })).code).toBe(0)
    })
  })

  it.each([
    [{ repeat: '0' }, 'USAGE'],
    [{ repeat: 'x' }, 'USAGE'],
    [{ timeout: 'soon' }, 'USAGE'],
    [{ file: 'none.yaml' }, 'CONFIG_INVALID'],
  ])('exits 2 on %j', async (options, code) => {
    await requests('- GET /')
    await shops(shop(same), shop(same), async (left, right) => {
      await expect(run(left.url, right.url, options)).rejects.toMatchObject({ code })
    })
  })
})

describe('devstack record', () => {
  /** Records what `use` asks the proxy for. */
  async function recorded(
    stack: FakeStack,
    use: (url: string) => Promise<void>,
    options: Partial<RecordOptions> = {},
  ): Promise<Printed> {
    const printed: Printed = { out: '', err: '' }
    const controller = new AbortController()
    const done = recordUntil(
      contextOf(printed),
      'shop.ndjson',
      { to: stack.url, port: '0', ...options },
      controller.signal,
    )
    await Promise.race([done, vi.waitFor(() => expect(printed.out).toMatch(/http:/))])
    await use(/http:\/\/127\.0\.0\.1:\d+/.exec(printed.out)?.[0] ?? '')
    controller.abort()
    expect(await done).toBe(0)
    return printed
  }

  it('tells each request as it passes, and at the end what was written and what was not', async () => {
    await using stack = await fakeStack(shop(same))
    const { out } = await recorded(stack, async (url) => {
      await ask(`${url}/`, { headers: { cookie: 'theme=dark' } })
      await ask(`${url}/api/products`, { method: 'POST', body: '{"name":"Lamp","password":"hunter22"}' })
      await ask(`${url}/upload`, { method: 'POST', body: Buffer.alloc(1_500_000) })
    })
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(steady(out)).toMatchInlineSnapshot(`
      "open http://127.0.0.1:PORT instead of http://127.0.0.1:PORT (:PORT)
      writing to shop.ndjson; Ctrl-C ends

        GET /                                                           200    0.0 ms
        POST /api/products                                              201    0.0 ms
        POST /upload                                                    201    0.0 ms
          will not be sent: its body of 1.5 MB was not kept

      3 requests written to shop.ndjson
        cookies from before, left out: theme; begin with the login to have a session
        secrets left out; to compare, set DEVSTACK_SECRET_PASSWORD
      "
    `)
    expect(await readFile(join(folder, 'shop.ndjson'), 'utf8')).not.toContain('hunter22')
  })

  it('writes what compare sends', async () => {
    await using left = await fakeStack(shop(same))
    await using right = await fakeStack(shop(other))
    await recorded(left, async (url) => {
      await ask(`${url}/`)
      await ask(`${url}/api/products`, { method: 'POST', body: '{"name":"Lamp"}' })
    })
    const { code, out } = await run(left.url, right.url, { file: 'shop.ndjson', repeat: '3' })
    expect(code).toBe(1)
    expect(out).toMatch(/2 of 2 differ/)
    expect(right.asked).toEqual(['GET /', 'GET /', 'GET /', 'POST /api/products'])
  })

  it('tells the same as JSON, a line each', async () => {
    await using stack = await fakeStack(shop(same))
    const { out } = await recorded(
      stack,
      async (url) => {
        await ask(`${url}/`)
      },
      { json: true },
    )
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { type: 'recording', target: stack.url },
      { type: 'recorded', request: 'GET /', status: 200, skip: null },
      {
        type: 'ended',
        written: 1,
        passedOnly: { stream: 0, webSocket: 0, unanswered: 0 },
        variables: [],
        strangers: [],
      },
    ])
  })

  it.each([
    ['requests.yaml', { port: '0' }],
    ['there.ndjson', { port: '0' }],
    ['a.ndjson', { port: '99999' }],
  ])('refuses %s with %j', async (file, options) => {
    await writeFile(join(folder, 'there.ndjson'), '')
    await using stack = await fakeStack(shop(same))
    const context = contextOf({ out: '', err: '' })
    const signal = AbortSignal.timeout(10_000)
    await expect(recordUntil(context, file, { to: stack.url, ...options }, signal)).rejects.toMatchObject({
      code: 'USAGE',
    })
  })
})
