import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeShop, edit, health, SHOP_PATHS, shopPorts } from './describe-shop.js'
import { onEngine } from './on-engine.js'
import { docker, makePlace, type Ended, type Place } from './support.js'

// The shop on Compose: from a copy of the reference stack, on ports and with data of its own.

onEngine('the shop', () => {
  let place: Place
  let env: NodeJS.ProcessEnv
  let address = ''
  const devstack = (...argv: readonly string[]): Promise<Ended> => place.devstack(argv, { env })

  beforeAll(async () => {
    env = await shopPorts()
    place = await makePlace({}, { copies: SHOP_PATHS })
    // Another name than the checkout's own shop, which may be up.
    await edit(place, 'devstack.yaml', 'name: shop', `name: ${place.name}`)
    const up = await devstack('up', '--detach')
    expect(up.code, up.all).toBe(0)
    expect(up.stdout).toMatch(/ready in .* s: .*-> nginx [\d.]+/)
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

  describeShop(() => ({ place, address, devstack }))

  it('says which store is down, and is well again once that is started', async () => {
    const redis = (await place.containers()).find(({ service }) => service === 'redis')
    await docker('kill', redis?.id ?? '')
    const ill = await health(address)
    expect(ill).toMatchObject({ status: 503, body: { postgres: 'ok', elasticsearch: 'ok' } })
    expect(ill.body['redis']).toMatch(/^error: /)
    const status = await devstack('status')
    expect(status.code, status.all).toBe(1)
    expect(status.stdout).toMatch(/redis +exited 137/)
    expect((await devstack('start', 'redis')).code).toBe(0)
    await expect.poll(async () => (await health(address)).status).toBe(200)
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
