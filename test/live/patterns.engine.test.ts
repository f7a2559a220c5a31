import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onEngine } from '../e2e/on-engine.js'
import { docker } from '../e2e/support.js'
import { EDITORS } from './editors.js'
import { DELIVERED, makeSmallShop, type SmallShop } from './small-shop.js'

// However a program saves a file: its bytes are in the container, the service answers with them, and nothing that
// the program made beside it stays there.

/** What is beside the edited files and is not delivered, or is the container's own. */
const NOT_DELIVERED: readonly string[] = ['.dockerignore', 'Dockerfile', '__pycache__']

onEngine('a save', () => {
  let shop: SmallShop
  let count = 0

  beforeAll(async () => {
    shop = await makeSmallShop()
    const up = await shop.place.devstack(['up', '--detach'])
    expect(up.code, up.all).toBe(0)
  })
  afterAll(async () => shop.place[Symbol.asyncDispose]())

  const inside = async (service: string, ...argv: readonly string[]): Promise<string> => {
    const container = (await shop.place.containers()).find((one) => one.service === service)
    return docker('exec', container?.id ?? '', ...argv)
  }
  const listed = (names: readonly string[]): readonly string[] =>
    names.filter((name) => name !== '' && !NOT_DELIVERED.includes(name)).toSorted()

  describe.each(['api', 'web', 'nginx'] as const)('of a file of %s', (service) => {
    it.each(Object.entries(EDITORS))('by %s', async (_name, save) => {
      count += 1
      const mark = `edit-${String(count)}`
      const file = shop.files[service]
      await save(file.path, file.text(mark))
      await expect.poll(() => shop.ask[service](), { timeout: 15_000, interval: 20 }).toBe(mark)
      expect(await inside(service, 'cat', DELIVERED[service])).toBe(file.text(mark))
      const onHost = listed(await readdir(dirname(file.path)))
      await expect
        .poll(async () =>
          listed((await inside(service, 'ls', '-A', dirname(DELIVERED[service]))).split('\n')),
        )
        .toEqual(onHost)
    })
  })
})
