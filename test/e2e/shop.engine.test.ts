import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  addsProduct,
  closesByEscape,
  listsProducts,
  observesHotUpdate,
  searches,
  showsDetails,
  showsErrorState,
  visit,
} from '../shop/browser.js'
import { checkSurface } from '../shop/surface.js'
import { onEngine } from './on-engine.js'
import { docker, freePort, makePlace, type Ended, type Place } from './support.js'

// The shop, as a new hire sees it: from a copy of the reference stack, on ports and with data of its own.

onEngine('the shop', () => {
  let place: Place
  let env: NodeJS.ProcessEnv
  let address = ''

  const devstack = (...argv: readonly string[]): Promise<Ended> => place.devstack(argv, { env })
  const edit = async (path: string, from: string, to: string): Promise<void> => {
    const file = join(place.folder, path)
    const text = await readFile(file, 'utf8')
    expect(text).toContain(from)
    await writeFile(file, text.replace(from, to))
  }
  const health = async (): Promise<{ readonly status: number; readonly body: Record<string, string> }> => {
    const response = await fetch(new URL('/api/health', address), { signal: AbortSignal.timeout(10_000) })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }

  beforeAll(async () => {
    env = {
      NGINX_PORT: String(await freePort()),
      POSTGRES_PORT: String(await freePort()),
      ELASTICSEARCH_PORT: String(await freePort()),
      REDIS_PORT: String(await freePort()),
    }
    place = await makePlace({}, { copies: ['compose', 'fixtures', 'devstack.yaml'] })
    // Another name than the checkout's own shop, which may be up.
    await edit('devstack.yaml', 'name: shop', `name: ${place.name}`)
    const up = await devstack('up', '--detach')
    expect(up.code, up.all).toBe(0)
    expect(up.stdout).toMatch(/ready in [\d.]+ s: .*-> nginx [\d.]+/)
    address = (await devstack('open', 'nginx', '--print')).stdout.trim()
    expect(address).toBe(`http://127.0.0.1:${env['NGINX_PORT'] ?? ''}`)
  })
  afterAll(async () => place[Symbol.asyncDispose]())

  it('has the seven services of the reference stack', async () => {
    const states = (await place.containers()).map(({ service, state }) => `${service} ${state}`)
    expect(states).toEqual([
      'api running',
      'elasticsearch running',
      'migrate exited',
      'nginx running',
      'postgres running',
      'redis running',
      'web running',
    ])
  })

  it('answers as its public surface says', async () => {
    await checkSurface(address)
  })

  it('lists, searches, adds and shows errors in a browser, by keyboard as well', async () => {
    await visit(address, listsProducts)
    await visit(address, (page) => searches(page, 'oak', 'Oak'))
    await visit(address, (page) => addsProduct(page, `Brass lamp ${place.name}`))
    await visit(address, closesByEscape)
    await visit(address, showsDetails)
    await visit(address, showsErrorState)
  })

  it('passes its own tests inside its containers', async () => {
    const api = await devstack('exec', 'api', '--', 'pytest', '-q')
    expect(api.code, api.all).toBe(0)
    expect(api.stdout).toMatch(/\d+ passed/)
    const web = await devstack('exec', 'web', '--', 'npx', 'vitest', 'run')
    expect(web.code, web.all).toBe(0)
  })

  it('shows an edit of a React file in the open page, without a reload', async () => {
    const change = (): Promise<void> => edit('fixtures/shop/web/src/App.tsx', "'The shop'", "'The new shop'")
    await visit(address, (page) => observesHotUpdate(page, change, 'The new shop'))
  })

  it('answers with an edited Flask view', async () => {
    await edit(
      'fixtures/shop/api/shop/blueprints/health.py',
      'version=version',
      'version=version, edited="yes"',
    )
    await expect.poll(async () => (await health()).body['edited'], { timeout: 20_000 }).toBe('yes')
  })

  it('says which store is down, and is well again once that is started', async () => {
    const redis = (await place.containers()).find(({ service }) => service === 'redis')
    await docker('kill', redis?.id ?? '')
    const ill = await health()
    expect(ill).toMatchObject({ status: 503, body: { postgres: 'ok', elasticsearch: 'ok' } })
    expect(ill.body['redis']).toMatch(/^error: /)
    const status = await devstack('status')
    expect(status.code, status.all).toBe(1)
    expect(status.stdout).toMatch(/redis +exited 137/)
    expect((await devstack('start', 'redis')).code).toBe(0)
    await expect.poll(async () => (await health()).status).toBe(200)
    expect((await devstack('status')).code).toBe(0)
  })

  it('is left alone by a second up', async () => {
    const known = (await place.containers()).filter(({ service }) => service !== 'migrate')
    const up = await devstack('up', '--detach')
    expect(up.code, up.all).toBe(0)
    const now = (await place.containers()).filter(({ service }) => service !== 'migrate')
    expect(now.map(({ id }) => id)).toEqual(known.map(({ id }) => id))
  })

  it('is a stack that plain Compose accepts', async () => {
    const file = join(place.folder, 'compose/compose.yaml')
    expect(await docker('compose', '--file', file, 'config', '--quiet')).toBe('')
    const production = join(place.folder, 'compose/compose.production.yaml')
    expect(await docker('compose', '--file', file, '--file', production, 'config', '--quiet')).toBe('')
  })

  it('leaves nothing after down with its volumes', async () => {
    const down = await devstack('down', '--volumes', '--yes')
    expect(down.code, down.all).toBe(0)
    expect(await place.things()).toEqual([])
  })
})
