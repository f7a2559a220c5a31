import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeShop, edit, health, SHOP_PATHS, shopPorts, type Health } from './describe-shop.js'
import { kubectl, makeKindPlace, onKind } from './on-kind.js'
import { takePort, type Ended, type Place } from './support.js'

// The shop in a kind cluster: from a copy of the reference stack, in a namespace of its own. Compose's stack of the same copy
// wants the same ports, as in the checkout.

const KINDS = 'all,configmaps,secrets,persistentvolumeclaims'

/** A part of what `devstack status --json` says. */
interface ServiceStatus {
  readonly name: string
  readonly phase: string
  readonly health: string
  readonly freshness: { readonly state: string }
  readonly instances: readonly { readonly id: string }[]
}

onKind('the shop in a cluster', () => {
  let place: Place
  let env: Readonly<Record<string, string>>
  let address = ''
  const compose = (...argv: readonly string[]): Promise<Ended> => place.devstack(argv, { env })
  const devstack = (...argv: readonly string[]): Promise<Ended> => compose('--engine', 'kind', ...argv)
  const inNamespace = (...argv: readonly string[]): Promise<string> =>
    kubectl('--namespace', place.name, ...argv)
  const services = async (): Promise<readonly ServiceStatus[]> => {
    const { stdout } = await devstack('status', '--json')
    return (JSON.parse(stdout) as { readonly services: readonly ServiceStatus[] }).services
  }
  const service = async (name: string): Promise<ServiceStatus | undefined> =>
    (await services()).find((one) => one.name === name)
  const podsOf = async (workload: string): Promise<readonly string[]> =>
    (await inNamespace('get', 'pods', '--output', 'name'))
      .split('\n')
      .filter((name) => name.startsWith(`pod/${workload}-`))
  /** Null while nobody answers: its pod is being replaced. */
  const healthOrNothing = (): Promise<Health | null> => health(address).catch(() => null)

  beforeAll(async () => {
    env = await shopPorts()
    place = await makeKindPlace({}, { copies: SHOP_PATHS })
    await edit(place, 'devstack.yaml', 'name: shop', `name: ${place.name}`)
    const wanted = { NGINX_PORT: 8080, POSTGRES_PORT: 5432, ELASTICSEARCH_PORT: 9200, REDIS_PORT: 6379 }
    for (const [name, port] of Object.entries(wanted))
      await edit(place, 'kind/overlays/local/ports.yaml', `'${String(port)}'`, `'${env[name] ?? ''}'`)
    const up = await devstack('up', '--detach')
    expect(up.code, up.all).toBe(0)
    expect(up.stdout).toMatch(/ready in .*s: .*-> api [\d.]+/)
    address = (await devstack('open', 'nginx', '--print')).stdout.trim()
    // Compose's stack has that one.
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(address).not.toBe(`http://127.0.0.1:${env['NGINX_PORT'] ?? ''}`)
  })
  afterAll(async () => {
    await devstack('down', '--volumes', '--yes')
    await place[Symbol.asyncDispose]()
  })

  it('has the seven services of the reference stack, and what is watched is live', async () => {
    const states = async (): Promise<readonly string[]> =>
      (await services())
        .map(({ name, phase, health, freshness }) => [name, phase, health, freshness.state])
        .map((words) => words.filter((word) => word !== 'none' && word !== 'unknown').join(' '))
        .toSorted()
    await expect
      .poll(states, { timeout: 60_000 })
      .toEqual([
        'api running healthy live',
        'elasticsearch running healthy',
        'migrate completed',
        'nginx running healthy live',
        'postgres running healthy',
        'redis running healthy',
        'web running healthy live',
      ])
    expect((await devstack('status')).code).toBe(0)
  })

  describeShop(() => ({ place, address, devstack }))

  it('has its edits again where its pods are replaced, before they are called live', async () => {
    const pods = [...(await podsOf('shop')), ...(await podsOf('web'))]
    const before = await Promise.all(['api', 'web'].map(service))
    await inNamespace('delete', ...pods, '--wait=false')
    for (const [index, name] of ['api', 'web'].entries()) {
      const old = before[index]?.instances.map(({ id }) => id) ?? []
      const replaced = async (): Promise<string> => {
        const now = await service(name)
        const others = now?.instances.filter(({ id }) => !old.includes(id)) ?? []
        return others.length === 0 ? 'not replaced' : `${now?.health ?? ''} ${now?.freshness.state ?? ''}`
      }
      await expect.poll(replaced, { timeout: 90_000 }).toBe('healthy live')
    }
    expect(await health(address)).toMatchObject({ status: 200, body: { edited: 'yes' } })
    const source = await fetch(new URL('/src/App.tsx', address), { signal: AbortSignal.timeout(10_000) })
    expect(await source.text()).toContain('The new shop')
    expect((await devstack('status')).code).toBe(0)
  })

  it('says which store is down where its pod is killed, and is well again by itself once there is a place for it', async () => {
    const nodes = (await kubectl('get', 'nodes', '--output', 'name')).split('\n')
    await kubectl('cordon', ...nodes)
    try {
      await inNamespace('delete', 'pod', 'redis-0', '--grace-period=0', '--force')
      const said = expect.poll(healthOrNothing, { timeout: 30_000 })
      await said.toMatchObject({
        status: 503,
        body: { postgres: 'ok', elasticsearch: 'ok', redis: expect.stringMatching(/^error: /) as string },
      })
      await expect
        .poll(async () => (await devstack('status')).stdout, { timeout: 30_000 })
        .toMatch(/redis +.*no node/)
      expect((await devstack('status')).code).toBe(1)
    } finally {
      await kubectl('uncordon', ...nodes)
    }
    await expect.poll(async () => (await healthOrNothing())?.status, { timeout: 60_000 }).toBe(200)
    await expect.poll(async () => (await devstack('status')).code, { timeout: 30_000 }).toBe(0)
  })

  it('is left alone by a second up: no object of the cluster is changed', async () => {
    interface Listed {
      readonly kind: string
      readonly metadata: Readonly<Record<'name' | 'uid' | 'resourceVersion', string>>
    }
    const objects = async (): Promise<Readonly<Record<string, string>>> => {
      const text = await inNamespace('get', KINDS, '--output', 'json')
      const { items } = JSON.parse(text) as { readonly items: readonly Listed[] }
      // A pod tells how it does; of all else each change is somebody's.
      const state = ({ kind, metadata }: Listed): string =>
        kind === 'Pod' ? metadata.uid : `${metadata.uid} ${metadata.resourceVersion}`
      return Object.fromEntries(items.map((one) => [`${one.kind}/${one.metadata.name}`, state(one)]))
    }
    // The edits of earlier scenarios: the migration has an image of them, too, and runs once more.
    const first = await devstack('up', '--detach')
    expect(first.code, first.all).toBe(0)
    // Its controller says so itself a moment after its pod is done.
    await inNamespace('wait', '--for=condition=complete', 'job/migrate', '--timeout=60s')
    const before = await objects()
    expect(Object.keys(before).length).toBeGreaterThan(20)
    const up = await devstack('up', '--detach')
    expect(up.code, up.all).toBe(0)
    expect(up.stdout).toContain('nothing to do')
    expect(await objects()).toEqual(before)
  })

  it('answers as Compose’s stack of the same worktree does, which is up beside it', async () => {
    await place.write('requests.yaml', REQUESTS)
    const up = await compose('up', '--detach')
    expect(up.code, up.all).toBe(0)
    const compared = await compose('compare', 'compose', 'kind', 'requests.yaml')
    expect(compared.code, compared.all).toBe(0)
    expect((await devstack('status')).code).toBe(0)
    const down = await compose('down', '--volumes', '--yes')
    expect(down.code, down.all).toBe(0)
    expect(await place.things()).toEqual([])
    expect((await health(address)).status).toBe(200)
  })

  it('is a stack that plain kubectl accepts', async () => {
    const namespace = `${place.name}-plain`
    const overlay = 'kind/overlays/nodeport'
    await edit(place, `${overlay}/kustomization.yaml`, 'namespace: shop', `namespace: ${namespace}`)
    await kubectl('create', 'namespace', namespace)
    try {
      const said = await kubectl('apply', '-k', `${place.folder}/${overlay}`, '--dry-run=server')
      expect(said).toContain('deployment.apps/shop created (server dry run)')
      expect(said).toContain('job.batch/migrate created (server dry run)')
    } finally {
      await kubectl('delete', 'namespace', namespace)
    }
  })

  it('leaves nothing but the cluster after down with its volumes', async () => {
    const down = await devstack('down', '--volumes', '--yes')
    expect(down.code, down.all).toBe(0)
    expect(await kubectl('get', 'namespace', place.name, '--ignore-not-found')).toBe('')
    const claims = await kubectl(
      'get',
      'persistentvolumes',
      '--output',
      'jsonpath={.items[*].spec.claimRef.namespace}',
    )
    expect(claims.split(' ')).not.toContain(place.name)
    await using port = await takePort('127.0.0.1', Number(new URL(address).port))
    expect(port.port).toBe(Number(new URL(address).port))
    expect(await kubectl('get', 'nodes', '--output', 'name')).toContain('node/')
  })
})

/** What does not depend on what earlier scenarios added. */
const REQUESTS = `
requests:
  - GET /
  - GET /api/health
  - GET /api/products/7
  - GET /api/products/7
  - GET /api/products?page=x
  - GET /api/search?q=thereisnosuchthing
  - GET /api/nothing
  - GET /api/boom
  - request: POST /api/products
    json: { name: '', price: -1 }
  - request: POST /api/products
    json: { name: Compared lamp, price: 3.5, stock: 1 }
    keep: { id: $.id }
  - GET /api/products/\${id}
`
