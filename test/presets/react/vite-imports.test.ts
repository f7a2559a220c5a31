import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

interface Imports {
  readonly configOf: (root: string) => string | null
  readonly importsOf: (file: string) => ReadonlySet<string>
}

// It runs beside Vite as it is, so it is no TypeScript.
const { configOf, importsOf } = (await import(
  new URL('../../../src/presets/react/vite-imports.mjs', import.meta.url).href
)) as Imports

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-imports-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}

describe('the configuration', () => {
  test.each([
    [['web/vite.config.ts', 'vite.config.js'], 'web/vite.config.ts'],
    [['web/vite.config.ts', 'web/vite.config.mjs'], 'web/vite.config.mjs'],
    [['vite.config.cts'], 'vite.config.cts'],
  ])('of %j in web is %s', async (names, found) => {
    await write({ 'web/index.html': '', ...Object.fromEntries(names.map((name) => [name, ''])) })
    expect(relative(folder, configOf(join(folder, 'web')) ?? '')).toBe(found)
  })
})

describe('what a configuration imports', () => {
  test.each([
    [`import a from './a'`, 'a.ts'],
    [`import './a/'`, 'a/index.ts'],
    [`import { b, c } from "../a.js"`, '../a.ts'],
    [`export * from './a.mjs'`, 'a.mjs'],
    [`const a = require('./a.json')`, 'a.json'],
    [`const a = await import( './a' )`, 'a/index.js'],
    [`import a from '.'`, 'index.ts'],
  ])('%s may mean %s, be it there or deleted', async (text, name) => {
    await write({ 'web/vite.config.ts': text })
    expect(importsOf(join(folder, 'web/vite.config.ts'))).toContain(join(folder, 'web', name))
  })

  test('what is imported by what it imports is too; packages are not', async () => {
    await write({
      'vite.config.ts': `import { plugin } from './tools/plugin'\nimport react from '@vitejs/plugin-react'`,
      'tools/plugin.ts': `import './words'\nimport '../vite.config'`,
      'tools/words.ts': '',
    })
    const found = importsOf(join(folder, 'vite.config.ts'))
    expect(found).toContain(join(folder, 'tools/words.ts'))
    expect([...found].filter((path) => path.includes('react'))).toEqual([])
  })
})
