import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
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
import { freePort, type Ended, type Place } from './support.js'

/** A copy of the reference stack that is up, on whichever engine. */
export interface Shop {
  readonly place: Place
  /** Where its page is. */
  readonly address: string
  /** Asks for its engine. */
  readonly devstack: (...argv: readonly string[]) => Promise<Ended>
}

/** What a copy of the reference stack is made of. */
export const SHOP_PATHS: readonly string[] = ['compose', 'fixtures', 'kind', 'devstack.yaml']

/** Ports that nobody holds, as variables of the compose file. */
export async function shopPorts(): Promise<Readonly<Record<string, string>>> {
  const names = ['NGINX_PORT', 'POSTGRES_PORT', 'ELASTICSEARCH_PORT', 'REDIS_PORT']
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, String(await freePort())] as const)),
  )
}

/** Saves another text in place of the one that must be there. */
export async function edit({ folder }: Place, path: string, from: string, to: string): Promise<void> {
  const file = join(folder, path)
  const text = await readFile(file, 'utf8')
  expect(text).toContain(from)
  await writeFile(file, text.replace(from, to))
}

export interface Health {
  readonly status: number
  readonly body: Readonly<Record<string, string>>
}

export async function health(address: string): Promise<Health> {
  const response = await fetch(new URL('/api/health', address), { signal: AbortSignal.timeout(10_000) })
  return { status: response.status, body: (await response.json()) as Record<string, string> }
}

/** The shop as a new hire sees it, in an order: later scenarios find the edits of earlier ones. */
export function describeShop(shop: () => Shop): void {
  it('answers as its public surface says', async () => {
    await checkSurface(shop().address)
  })

  it('lists, searches, adds and shows errors in a browser, by keyboard as well', async () => {
    const { address, place } = shop()
    await visit(address, listsProducts)
    await visit(address, (page) => searches(page, 'oak', 'Oak'))
    await visit(address, (page) => addsProduct(page, `Brass lamp ${place.name}`))
    await visit(address, closesByEscape)
    await visit(address, showsDetails)
    await visit(address, showsErrorState)
  })

  it('passes its own tests inside its containers', async () => {
    const api = await shop().devstack('exec', 'api', '--', 'pytest', '-q')
    expect(api.code, api.all).toBe(0)
    expect(api.stdout).toMatch(/\d+ passed/)
    const web = await shop().devstack('exec', 'web', '--', 'npx', 'vitest', 'run')
    expect(web.code, web.all).toBe(0)
  })

  it('shows an edit of a React file in the open page, without a reload', async () => {
    const { address, place } = shop()
    const change = (): Promise<void> =>
      edit(place, 'fixtures/shop/web/src/App.tsx', "'The shop'", "'The new shop'")
    await visit(address, (page) => observesHotUpdate(page, change, 'The new shop'))
  })

  it('answers with an edited Flask view', async () => {
    const { address, place } = shop()
    const file = 'fixtures/shop/api/shop/blueprints/health.py'
    await edit(place, file, 'version=version', 'version=version, edited="yes"')
    await expect.poll(async () => (await health(address)).body['edited'], { timeout: 20_000 }).toBe('yes')
  })
}
