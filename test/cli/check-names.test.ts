import { describe, expect, it } from 'vitest'
import { checkNamesOfContainers } from '../../src/cli/check-names.js'
import { createFakeEngine } from '../fakes/fake-engine.js'

const signal = AbortSignal.timeout(5000)

describe('names of services whose containers are asked for', () => {
  /** A project of `api`, which has a container, and `web`, which has none; counts how often it is read. */
  async function project() {
    const engine = createFakeEngine({ name: 'names', services: [{ name: 'api' }, { name: 'web' }] })
    const create = { kind: 'create', id: 'create api', label: '', cause: '', services: ['api'] } as const
    const context = { signal, progress: () => undefined, output: () => undefined, emit: () => undefined }
    await engine.apply({ ...create, dependsOn: [] }, context)
    let reads = 0
    const counting: typeof engine.resolve = async (...args) => {
      reads += 1
      return engine.resolve(...args)
    }
    return {
      check: (names: readonly string[]) =>
        checkNamesOfContainers({ ...engine, resolve: counting }, names, signal),
      reads: () => reads,
    }
  }

  it('are told by the containers alone, without reading the project', async () => {
    const { check, reads } = await project()
    await check([])
    await check(['api'])
    expect(reads()).toBe(0)
  })

  it('are looked for in the project where there is no container', async () => {
    const { check, reads } = await project()
    await check(['api', 'web'])
    expect(reads()).toBe(1)
  })

  it('are refused where the project has none of them', async () => {
    const { check } = await project()
    await expect(check(['api', 'wep'])).rejects.toMatchObject({
      code: 'UNKNOWN_SERVICE',
      hint: expect.stringContaining('web') as string,
    })
  })
})
