import assert from 'node:assert/strict'

/** A product as the API gives it. */
interface Product {
  readonly id: number
  readonly name: string
  readonly description: string
  readonly price: number
  readonly stock: number
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

const SEEDED = 200
const PAGE_SIZE = 20

/** Asserts the whole public surface of a running shop; it adds one product. Throws at the first thing that differs. */
export async function checkSurface(baseUrl: string): Promise<void> {
  const call = caller(baseUrl)
  await checkPage(baseUrl)
  await checkHealth(call)
  await checkListing(call)
  const created = await checkCreation(call)
  await checkReading(call, created)
  await checkSearch(call, created)
  await checkRefusals(call)
  await checkErrors(call)
}

type Call = (method: string, path: string, body?: unknown) => Promise<Answer>

function caller(baseUrl: string): Call {
  return async (method, path, body) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const init = body === undefined ? {} : { body: text, headers: { 'Content-Type': 'application/json' } }
    const signal = AbortSignal.timeout(10_000)
    const response = await fetch(new URL(path, baseUrl), { method, signal, ...init })
    const type = response.headers.get('Content-Type') ?? ''
    const answer = await response.text()
    assert.match(
      type,
      /^application\/json/,
      `${method} ${path} is not JSON but ${type}: ${answer.slice(0, 200)}`,
    )
    return {
      status: response.status,
      headers: response.headers,
      body: JSON.parse(answer) as Record<string, unknown>,
    }
  }
}

async function checkPage(baseUrl: string): Promise<void> {
  const response = await fetch(new URL('/', baseUrl), { signal: AbortSignal.timeout(10_000) })
  assert.equal(response.status, 200, 'GET / is not 200')
  assert.match(response.headers.get('Content-Type') ?? '', /^text\/html/, 'GET / is not HTML')
  assert.match(await response.text(), /<div id="root">/, 'GET / is not the page of the shop')
}

async function checkHealth(call: Call): Promise<void> {
  const { status, body } = await call('GET', '/api/health')
  const { version, ...rest } = body
  assert.deepEqual(
    rest,
    { status: 'ok', postgres: 'ok', elasticsearch: 'ok', redis: 'ok' },
    'a store is not well',
  )
  assert.equal(status, 200, 'GET /api/health is not 200')
  assert.match(String(version), /^\d+\.\d+/, 'health has no version')
}

async function checkListing(call: Call): Promise<void> {
  const first = await listing(call, '/api/products')
  const same = await listing(call, '/api/products?page=1')
  const second = await listing(call, '/api/products?page=2')
  assert.deepEqual(first, same, 'pages do not count from 1')
  assert.ok(first.total >= SEEDED, `there are ${first.total} products, not the ${SEEDED} of the seed`)
  assert.equal(first.items.length, PAGE_SIZE, 'a page does not hold 20')
  const ids = new Set([...first.items, ...second.items].map((product) => product.id))
  assert.equal(ids.size, 2 * PAGE_SIZE, 'two pages share products')
  const all = await everything(call, first.total)
  assert.ok(all.length >= SEEDED, 'the pages do not hold every product')
  assert.ok(
    all.some((product) => Buffer.byteLength(product.name) > product.name.length),
    'no product has a name with multi-byte characters',
  )
  const beyond = await listing(call, '/api/products?page=9999')
  assert.deepEqual(beyond.items, [], 'a page past the last is not empty')
  for (const page of ['0', '-1', 'x', '1.5']) {
    const { status, body } = await call('GET', `/api/products?page=${page}`)
    assert.equal(status, 422, `page=${page} is not refused`)
    assertErrors(body, ['page'])
  }
}

async function everything(call: Call, total: number): Promise<readonly Product[]> {
  const pages = Array.from({ length: Math.ceil(total / PAGE_SIZE) }, (_, index) => index + 1)
  const found: Product[] = []
  for (const page of pages) found.push(...(await listing(call, `/api/products?page=${page}`)).items)
  return found
}

async function listing(call: Call, path: string): Promise<{ items: readonly Product[]; total: number }> {
  const { status, body } = await call('GET', path)
  assert.equal(status, 200, `GET ${path} is not 200`)
  assert.deepEqual(Object.keys(body).toSorted(), ['items', 'total'], `GET ${path} has other keys`)
  const { items, total } = body as { items: readonly Product[]; total: number }
  for (const product of items) assertProduct(product)
  assert.ok(Number.isInteger(total), `GET ${path}: total is no whole number`)
  return { items, total }
}

async function checkCreation(call: Call): Promise<Product> {
  const unique = `surface${process.hrtime.bigint()}`
  const sent = { name: `Bøk ${unique} 📚`, description: 'Ein prøve – 試験', price: 12.35, stock: 4 }
  const before = await listing(call, '/api/products')
  const { status, body } = await call('POST', '/api/products', sent)
  assert.equal(status, 201, `POST /api/products is not 201: ${JSON.stringify(body)}`)
  assertProduct(body as unknown as Product)
  const created = body as unknown as Product
  assert.deepEqual(created, { id: created.id, ...sent }, 'the created product is not what was sent')
  const after = await listing(call, '/api/products')
  assert.equal(after.total, before.total + 1, 'the total did not grow by one')
  return created
}

async function checkReading(call: Call, created: Product): Promise<void> {
  const states: (string | null)[] = []
  for (const _ of [1, 2]) {
    const { status, headers, body } = await call('GET', `/api/products/${created.id}`)
    assert.equal(status, 200, `GET /api/products/${created.id} is not 200`)
    assert.deepEqual(body, created, 'a product reads other than it was created')
    states.push(headers.get('X-Cache'))
  }
  assert.deepEqual(states, ['miss', 'hit'], 'X-Cache of a first and a second read')
  for (const id of ['2147483647', '99999999999999999999', 'x']) {
    const { status, body } = await call('GET', `/api/products/${id}`)
    assert.equal(status, 404, `GET /api/products/${id} is not 404`)
    assertError(body)
  }
}

async function checkSearch(call: Call, created: Product): Promise<void> {
  const word = created.name.split(' ')[1] ?? ''
  const deadline = performance.now() + 1000
  let found = await listing(call, `/api/search?q=${word}`)
  while (found.total === 0 && performance.now() < deadline)
    found = await listing(call, `/api/search?q=${word}`)
  assert.deepEqual(found, { items: [created], total: 1 }, 'a new product is not found within a second')
  const none = await listing(call, '/api/search?q=thereisnosuchthing')
  assert.deepEqual(none, { items: [], total: 0 }, 'a search for nothing finds something')
  const many = await listing(call, `/api/search?q=${encodeURIComponent('oak')}`)
  assert.ok(many.total > 0, 'no seeded product is found')
}

async function checkRefusals(call: Call): Promise<void> {
  const cases: readonly (readonly [unknown, readonly string[]])[] = [
    [{}, ['name', 'price']],
    [{ name: '', price: -1, stock: 1.5, description: 7 }, ['description', 'name', 'price', 'stock']],
    [{ name: 'x', price: '12' }, ['price']],
    ['{', ['body']],
  ]
  for (const [sent, fields] of cases) {
    const { status, body } = await call('POST', '/api/products', sent)
    assert.equal(status, 422, `POST ${JSON.stringify(sent)} is not 422`)
    assertErrors(body, fields)
  }
}

async function checkErrors(call: Call): Promise<void> {
  const cases = [
    ['GET', '/api/boom', 500],
    ['GET', '/api/nothing', 404],
    ['DELETE', '/api/products', 405],
  ] as const
  for (const [method, path, expected] of cases) {
    const { status, body } = await call(method, path)
    assert.equal(status, expected, `${method} ${path} is not ${expected}`)
    assertError(body)
  }
}

function assertProduct(product: Product): void {
  const shape = Object.entries(product).map(([key, value]) => `${key}: ${typeof value}`)
  const wanted = ['id: number', 'name: string', 'description: string', 'price: number', 'stock: number']
  assert.deepEqual(shape.toSorted(), wanted.toSorted(), `not a product: ${JSON.stringify(product)}`)
}

function assertError(body: Record<string, unknown>): void {
  assert.deepEqual(Object.keys(body), ['error'], `not an error: ${JSON.stringify(body)}`)
  assert.ok(typeof body['error'] === 'string' && body['error'] !== '', 'the error is no text')
}

function assertErrors(body: Record<string, unknown>, fields: readonly string[]): void {
  assert.deepEqual(Object.keys(body), ['errors'], `no errors per field: ${JSON.stringify(body)}`)
  const errors = body['errors'] as Record<string, unknown>
  assert.deepEqual(Object.keys(errors).toSorted(), fields, 'other fields are at fault')
  for (const message of Object.values(errors)) assert.ok(typeof message === 'string' && message !== '')
}
