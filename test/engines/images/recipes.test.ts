import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { HostCa } from '../../../src/engines/images/host-settings.js'
import { loadRecipes, matchRecipe } from '../../../src/engines/images/recipes.js'
import type { ImageUse } from '../../../src/engines/images/recipes.js'

const FOLDER = new URL('../../../compose/images/', import.meta.url).pathname
const CA: HostCa = { files: ['/ca.pem'], pem: 'x', sha256: 'cafe' }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-recipes-test-'))
  await cp(FOLDER, folder, { recursive: true })
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function hashes(ca: HostCa | null = null): Promise<Record<string, string>> {
  return Object.fromEntries((await loadRecipes(folder, ca)).map(({ name, hash }) => [name, hash]))
}

function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  return Object.keys(before).filter((name) => before[name] !== after[name])
}

describe('the recipes of this package', () => {
  const schema = z.strictObject({
    name: z.string(),
    family: z.literal('debian-trixie'),
    major: z.string().regex(/^\d+(\.\d+)?$/),
    kind: z.enum(['debootstrap', 'dockerfile']),
    upstream: z.array(z.string()),
    tagWords: z.array(z.string()).optional(),
    base: z.literal('base').optional(),
    buildArgs: z.record(z.string(), z.string()).optional(),
    shared: z.array(z.string()).optional(),
    fetch: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])).optional(),
    trustsHostCa: z.boolean().optional(),
    usesHostCa: z.boolean().optional(),
    usesMavenSettings: z.boolean().optional(),
    usualSeconds: z.number().optional(),
    reduced: z.string().optional(),
    suite: z.string().optional(),
    apt: z.string().optional(),
    dpkg: z.string().optional(),
  })

  test('each recipe.json has the fields of its type', async () => {
    const recipes = await loadRecipes(FOLDER, null)
    expect(recipes.map(({ name }) => name).sort()).toEqual([
      'base',
      'elasticsearch',
      'nginx',
      'node',
      'postgres',
      'python',
      'redis',
    ])
    for (const recipe of recipes) {
      const file: unknown = JSON.parse(await readFile(join(recipe.folder, 'recipe.json'), 'utf8'))
      expect(schema.parse(file).name).toBe(recipe.name)
    }
  })

  test('no Dockerfile asks a registry: no syntax line, no base but ours', async () => {
    for (const recipe of await loadRecipes(FOLDER, null)) {
      if (recipe.kind !== 'dockerfile') continue
      const text = await readFile(join(recipe.folder, 'Dockerfile'), 'utf8')
      expect(text).not.toMatch(/^#\s*syntax/m)
      const stages = [...text.matchAll(/ AS (\S+)$/gm)].map(([, name]) => name)
      const bases = [...text.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base)
      expect(bases.filter((base) => !stages.includes(base))).toSatisfy((rest: string[]) =>
        rest.every((base) => base === '${BASE}' || base === 'trust-${TRUST_HOST_CA}'),
      )
    }
  })

  test('the base comes first', async () => {
    expect((await loadRecipes(FOLDER, null))[0]?.name).toBe('base')
  })
})

describe('a recipe hash', () => {
  test('stays where nothing changed', async () => {
    expect(await hashes()).toEqual(await hashes())
    expect((await hashes())['redis']).toMatch(/^[0-9a-f]{12}$/)
  })

  test('changes with a file of its recipe, and of no other', async () => {
    const before = await hashes()
    await writeFile(join(folder, 'redis/Dockerfile'), 'FROM scratch')
    expect(changed(before, await hashes())).toEqual(['redis'])
  })

  test('changes with the base for all that are built on it', async () => {
    const before = await hashes()
    await writeFile(join(folder, 'base/90devstack'), '')
    expect(changed(before, await hashes()).sort()).toEqual(Object.keys(before).sort())
  })

  test('changes with a shared file for those that read it', async () => {
    const before = await hashes()
    await writeFile(join(folder, 'shared/trust-host-ca.sh'), '')
    expect(changed(before, await hashes()).sort()).toEqual(['node', 'python'])
  })

  test('changes with the certificates of the host only where they stay in the image', async () => {
    const before = await hashes()
    expect(changed(before, await hashes(CA)).sort()).toEqual(['node', 'python'])
  })
})

describe('matchRecipe', () => {
  test.each<[string, ImageUse, string | null]>([
    ['postgres:17', 'service', 'postgres'],
    ['docker.io/library/postgres:17.2-bookworm', 'service', 'postgres'],
    ['postgres', 'service', 'postgres'],
    ['postgres:16', 'service', null],
    ['redis:8-alpine', 'service', 'redis'],
    ['nginx:1.27', 'service', 'nginx'],
    ['docker.elastic.co/elasticsearch/elasticsearch:8.11.0', 'service', 'elasticsearch'],
    ['elasticsearch:9.0.0', 'service', null],
    ['python:3.13-slim', 'base', 'python'],
    ['python:3.13-alpine', 'base', null],
    ['node:24.1-bookworm-slim', 'base', 'node'],
    ['node:20', 'base', null],
    ['debian:trixie-slim', 'base', 'base'],
    ['debian:bookworm', 'base', null],
    ['devstack/postgres:000000000000', 'service', 'postgres'],
    ['devstack/mysql:1', 'service', null],
    ['bitnami/redis:8', 'service', null],
    ['redis@sha256:00', 'service', null],
  ])('%s as a %s: %s', async (wanted, use, name) => {
    const match = matchRecipe(await loadRecipes(FOLDER, null), wanted, use)
    expect(match.recipe?.name ?? null).toBe(name)
    if (name === null) expect(match.why).not.toBe('')
  })
})
