import { expect, test } from 'vitest'
import type { ServiceExtension } from '../../../src/core/compose.js'
import type { WatchEntry } from '../../../src/core/watch.js'
import type { ComposeModel, ComposeService } from '../../../src/engines/compose/model.js'
import type { BuildPlace, ComposeEngineOptions } from '../../../src/engines/compose/options.js'
import { presetWatch } from '../../../src/engines/compose/preset-watch.js'

const own = { action: 'restart', path: '/demo/api' }
const supplied = { action: 'sync', path: '/demo/api', target: '/app' }

interface Written {
  readonly service?: object
  readonly top?: object
  readonly extensions?: Readonly<Record<string, ServiceExtension>>
  readonly config?: Readonly<Record<string, readonly WatchEntry[]>>
}

/** The preset's rules for a service that is built, and what it was asked about. */
async function rulesOf({ service = {}, top = {}, extensions = {}, config = {} }: Written) {
  const asked: BuildPlace[] = []
  const build = { context: '/demo/api' }
  const api: ComposeService = { build, ...service }
  const model: ComposeModel = { name: 'shop', services: { api }, ...top }
  const presetRules = (_: string, place: BuildPlace): Promise<readonly WatchEntry[]> => {
    asked.push(place)
    return Promise.resolve([supplied])
  }
  const options = { presetRules, watch: config } as unknown as ComposeEngineOptions
  return { rules: await presetWatch(options, model, extensions), asked }
}

test('a service that is built and has no rule gets those of its preset', async () => {
  expect(await rulesOf({})).toEqual({
    rules: { api: [supplied] },
    asked: [{ context: '/demo/api', dockerfile: 'Dockerfile', target: null }],
  })
  const empty = {
    service: { develop: { watch: [] } },
    top: { 'x-devstack': { services: { web: { watch: [own] } } } },
  }
  expect((await rulesOf(empty)).rules).toEqual({ api: [supplied] })
})

test.each<[string, Written]>([
  ['develop.watch', { service: { develop: { watch: [own] } } }],
  ['x-devstack of the service', { extensions: { api: { watch: [own] } } }],
  ['x-devstack of the file', { top: { 'x-devstack': { services: { api: { watch: [own] } } } } }],
  ['devstack.yaml', { config: { api: [own] } }],
])('one that has a rule in %s keeps to it', async (_, written) => {
  expect(await rulesOf(written)).toEqual({ rules: {}, asked: [] })
})

test('one that is not built gets none', async () => {
  expect(await rulesOf({ service: { build: null } })).toEqual({ rules: {}, asked: [] })
})
