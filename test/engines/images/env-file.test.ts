import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ImageChoice } from '../../../src/core/images.js'
import { writeImageEnv } from '../../../src/engines/images/env-file.js'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-env-test-'))
  file = join(folder, '.env')
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

function choice(recipe: string | null, ref: string): ImageChoice {
  return {
    wanted: 'x',
    ref,
    action: 'build',
    origin: 'built',
    recipe,
    reason: '',
    reduced: null,
    services: [],
  }
}

const BUILT = [
  choice('redis', 'devstack/redis:1'),
  choice('postgres', 'devstack/postgres:2'),
  choice(null, 'mysql:9'),
]
const BLOCK = `# >>> devstack: images built on this machine
POSTGRES_IMAGE=devstack/postgres:2
REDIS_IMAGE=devstack/redis:1
# <<< devstack
`

test('makes the file', async () => {
  expect(await writeImageEnv(file, BUILT)).toBe(true)
  expect(await readFile(file, 'utf8')).toBe(BLOCK)
})

test('keeps everything else, its mode too, and replaces its own lines', async () => {
  await writeFile(file, `A=1\n${BLOCK.replace(':1', ':0')}B=2`, { mode: 0o600 })
  await writeImageEnv(file, BUILT)
  expect(await readFile(file, 'utf8')).toBe(`A=1\nB=2\n${BLOCK}`)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['.env'])
})

test('a second time changes nothing', async () => {
  await writeImageEnv(file, BUILT)
  expect(await writeImageEnv(file, BUILT)).toBe(false)
})

test('takes its lines out where a registry answers; a file of nothing else goes', async () => {
  await writeFile(file, `A=1\n${BLOCK}`)
  expect(await writeImageEnv(file, [choice(null, 'redis:8')])).toBe(true)
  expect(await readFile(file, 'utf8')).toBe('A=1\n')
  await writeFile(file, BLOCK)
  await writeImageEnv(file, [])
  expect(await readdir(folder)).toEqual([])
  expect(await writeImageEnv(file, [])).toBe(false)
})
