import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Page } from 'playwright-core'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface View {
  readonly width: number
  readonly height: number
  readonly dark?: boolean
}

/**
 * Opens the shop in Debian's Chromium with a new, empty profile and hands the page over. An error that nobody
 * handled in the page, or a message of its console at level error, fails the visit.
 */
export async function visit<T>(
  baseUrl: string,
  steps: (page: Page) => Promise<T>,
  view: View = { width: 1280, height: 800 },
): Promise<T> {
  const profile = await mkdtemp(join(tmpdir(), 'devstack-shop-browser-'))
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: FLAGS,
      viewport: { width: view.width, height: view.height },
      colorScheme: view.dark === true ? 'dark' : 'light',
      locale: 'en-GB',
    })
    try {
      const page = context.pages()[0] ?? (await context.newPage())
      page.setDefaultTimeout(30_000)
      const faults: string[] = []
      page.on('pageerror', (error) => faults.push(error.message))
      page.on('console', (message) => {
        // The browser reports each failed request there too; those that are meant to fail are asserted by the steps.
        const text = message.text()
        if (message.type() === 'error' && !text.startsWith('Failed to load resource')) faults.push(text)
      })
      await page.goto(baseUrl)
      // The development server reloads the page once, when it has prepared the packages that the first visit asks for.
      await page.waitForLoadState('networkidle')
      const result = await steps(page)
      assert.deepEqual(faults, [], 'the page had errors')
      return result
    } finally {
      await context.close()
    }
  } finally {
    await rm(profile, { recursive: true, force: true })
  }
}

/** The first page shows 20 products and the total; the next page shows others; back comes back. By keyboard. */
export async function listsProducts(page: Page): Promise<void> {
  await page.getByText(/^\d[\d,]* products$/).waitFor()
  const first = await names(page)
  assert.equal(first.length, 20, 'the first page does not show 20 products')
  await page.getByRole('button', { name: 'Next' }).focus()
  await page.keyboard.press('Enter')
  await page.getByText(/^Page 2 of/).waitFor()
  await page.locator('.grid[aria-busy="false"]').waitFor()
  const second = await names(page)
  assert.equal(second.length, 20, 'the second page does not show 20 products')
  assert.equal(first.filter((name) => second.includes(name)).length, 0, 'both pages show the same product')
  await page.goBack()
  await page.getByText(/^Page 1 of/).waitFor()
}

/** `/` reaches the search box, typing filters, Escape shows all products again. */
export async function searches(page: Page, text: string, expected: string): Promise<void> {
  await page.getByText(/^\d[\d,]* products$/).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type(text)
  await page.getByText(/^\d[\d,]* match(es)?$/).waitFor()
  await page.getByRole('button', { name: expected }).first().waitFor()
  await page.keyboard.press('Escape')
  await page.getByText(/^\d[\d,]* products$/).waitFor()
}

/** Fills the form wrongly first, sees the error at its field, mends it, and finds the product at the list's top. */
export async function addsProduct(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Add product' }).click()
  const dialog = page.getByRole('dialog', { name: 'Add a product' })
  await dialog.getByLabel('Name').fill(name)
  await dialog.getByLabel('Price').fill('cheap')
  await page.keyboard.press('Enter')
  await dialog.getByText('Price in € must be a number.').waitFor()
  const price = dialog.getByLabel('Price')
  assert.equal(await price.getAttribute('aria-invalid'), 'true', 'the field at fault is not marked')
  assert.equal(await page.locator(':focus').getAttribute('name'), 'price', 'the field at fault has no focus')
  await price.fill('19.90')
  await page.keyboard.press('Enter')
  await dialog.waitFor({ state: 'detached' })
  await page.getByText(`Added ${name}.`).waitFor()
  await page.getByRole('button', { name, exact: true }).waitFor()
  assert.equal((await names(page))[0], name, 'the new product is not the first of the list')
}

/** Escape closes a dialog, and the focus goes back to what opened it. */
export async function closesByEscape(page: Page): Promise<void> {
  const opener = page.getByRole('button', { name: 'Add product' })
  await opener.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  assert.equal(
    await page.locator(':focus').getAttribute('name'),
    'name',
    'the form does not begin at its first field',
  )
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  assert.equal(await page.locator(':focus').textContent(), 'Add product', 'the focus did not come back')
}

/** A product's details open from its card; a second look comes from the cache. */
export async function showsDetails(page: Page): Promise<void> {
  const card = page.locator('.card-button').first()
  for (const origin of [/from the (database|cache)$/, /from the cache$/]) {
    await card.click()
    await page.getByRole('dialog').getByText(origin).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }
}

/** A failing API is told to the user, and trying again helps once it answers. */
export async function showsErrorState(page: Page): Promise<void> {
  const body = JSON.stringify({ error: 'the database does not answer' })
  await page.route('**/api/products*', (route) =>
    route.fulfill({ status: 503, contentType: 'application/json', body }),
  )
  await page.reload()
  await page.getByRole('alert').getByText('The database does not answer (503)').waitFor()
  await page.unroute('**/api/products*')
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByText(/^\d[\d,]* products$/).waitFor()
  assert.equal(await page.getByRole('alert').count(), 0, 'the error is still shown')
}

/**
 * `edit` changes a source of the page so that `expected` appears. It must, without a reload: what was typed and a
 * mark on `window` are still there. Returns the milliseconds from the end of `edit` to the text on the screen.
 */
export async function observesHotUpdate(
  page: Page,
  edit: () => Promise<void>,
  expected: string,
): Promise<number> {
  const connected = page.waitForEvent('console', {
    predicate: (message) => message.text() === '[vite] connected.',
  })
  await page.goto(new URL('/', page.url()).href)
  await connected
  await page.getByText(/^\d[\d,]* products$/).waitFor()
  await page.evaluate('window.mark = "the same document"')
  const box = page.getByRole('searchbox')
  await box.fill('oak')
  await page.getByText(/match(es)?$/).waitFor()
  await edit()
  const start = performance.now()
  await page.getByText(expected).first().waitFor()
  const taken = performance.now() - start
  assert.equal(await page.evaluate('window.mark'), 'the same document', 'the page was loaded again')
  assert.equal(await box.inputValue(), 'oak', 'the page lost its state')
  return taken
}

async function names(page: Page): Promise<readonly string[]> {
  return page.locator('.card-button').allTextContents()
}
