import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ImageChoice } from '../../src/core/images.js'
import { formatPlan, plan, type PlanRequest } from '../../src/core/plan.js'
import type { Build, Instance, Service } from '../../src/core/project.js'
import { instance, project, service } from './builders.js'

const build: Build = { context: '/demo', dockerfile: '/demo/Dockerfile', target: null, args: {}, hash: 'new' }
const db = service('db')
const api = service('api', ['db'], { build })
const demo = project(db, api)

function planned(instances: readonly Instance[], more: Partial<PlanRequest> = {}, of = demo): string {
  const request: PlanRequest = {
    services: Object.keys(of.services),
    images: [],
    build: [],
    builtHashes: { api: 'new' },
    ...more,
  }
  return formatPlan(plan(of, { instances }, request))
}

function choice(action: ImageChoice['action'], services: readonly string[]): ImageChoice {
  const origin = action === 'pull' ? 'pulled' : action === 'build' ? 'built' : 'reused'
  return {
    wanted: 'db:1',
    ref: 'db:1',
    action,
    origin,
    recipe: null,
    reason: 'not there',
    reduced: null,
    services,
  }
}

describe('plan', () => {
  it('does nothing where all runs as it should', () => {
    expect(planned([instance(db), instance(api)])).toBe('nothing to do')
  })

  it('creates and starts what is not there', () => {
    expect(planned([])).toMatchInlineSnapshot(`
      "create db, api (db, api: no container yet)
      start db (created) after create
      start api (created) after create"
    `)
  })

  it('pulls and builds before it creates', () => {
    const images = [choice('pull', ['db'])]
    expect(planned([], { images, builtHashes: {} })).toMatchInlineSnapshot(`
      "pull db:1 (not there)
      build api (no image yet)
      create db, api (db, api: no container yet) after pull db:1, build api
      start db (created) after create
      start api (created) after create"
    `)
  })

  it('builds a service again after its base image', () => {
    expect(planned([], { images: [choice('build', ['api'])] })).toContain(
      'build api (its base image changed) after build db:1',
    )
  })

  it('builds again what changed, and what was asked for, and nothing else', () => {
    const running = [instance(db), instance(api)]
    expect(planned(running, { builtHashes: { api: 'old' } })).toContain('build api (its sources changed)')
    expect(planned(running, { build: ['api', 'db'] })).toContain('build api (asked for)')
    expect(planned(running, { build: ['db'] })).toBe('nothing to do')
  })

  it('recreates only the container whose configuration differs', () => {
    expect(planned([instance(db, { configHash: 'other' }), instance(api)])).toMatchInlineSnapshot(`
      "create db (db: its configuration changed)
      start db (created) after create"
    `)
  })

  it('recreates a container whose image was built or pulled since', () => {
    expect(planned([instance(db, { wantedImageId: 'sha256:newer' }), instance(api)])).toContain(
      'db: its image changed',
    )
  })

  it('starts a stopped container as it is', () => {
    expect(planned([instance(db, { state: 'exited', exitCode: 0 }), instance(api)])).toBe(
      'start db (stopped)',
    )
    expect(planned([instance(db, { state: 'exited', exitCode: 1 }), instance(api)])).toBe(
      'start db (exited 1)',
    )
  })

  it('never runs a finished one-shot again, and runs a failed one', () => {
    const once = service('migrate', [], { oneShot: true })
    const of = project(once)
    const ended = (exitCode: number): Instance =>
      instance(once, { state: 'exited', exitCode, health: 'none' })
    expect(planned([ended(0)], {}, of)).toBe('nothing to do')
    expect(planned([ended(3)], {}, of)).toBe('start migrate (exited 3)')
  })

  it('leaves services alone that were not asked for', () => {
    expect(planned([], { services: ['db'] })).not.toContain('api')
  })

  it('property: applying a plan makes the next plan empty', () => {
    const services = fc
      .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 })
      .map((names) =>
        names.map((name, index): Service =>
          service(name, names.slice(0, index), index % 2 === 0 ? { build } : {}),
        ),
      )
    const anyState = fc.constantFrom<Instance['state']>('created', 'running', 'exited', 'dead', 'paused')
    fc.assert(
      fc.property(services, fc.array(fc.tuple(anyState, fc.boolean(), fc.boolean())), (list, there) => {
        const of = project(...list)
        const instances = there.slice(0, list.length).map(([state, sameConfig, sameImage], index) =>
          instance(list[index] as Service, {
            state,
            configHash: sameConfig ? (list[index] as Service).configHash : 'other',
            wantedImageId: sameImage ? `sha256:${(list[index] as Service).name}` : 'sha256:newer',
          }),
        )
        const request = { services: list.map((one) => one.name), images: [], build: [], builtHashes: {} }
        const first = plan(of, { instances }, request)
        const touched = new Set(first.operations.flatMap((operation) => operation.services))
        const after = list.map((one) => {
          const old = instances.find((other) => other.service === one.name)
          return touched.has(one.name) || old === undefined ? instance(one) : old
        })
        const builtHashes = Object.fromEntries(list.map((one) => [one.name, one.build?.hash ?? null]))
        expect(formatPlan(plan(of, { instances: after }, { ...request, builtHashes }))).toBe('nothing to do')
      }),
    )
  })

  it('property: every operation comes after those it depends on', () => {
    fc.assert(
      fc.property(fc.subarray(['db', 'api']), fc.boolean(), (names, built) => {
        const request = {
          services: names,
          images: [choice('build', ['api', 'db'])],
          build: [],
          builtHashes: built ? { api: 'new' } : {},
        }
        const seen = new Set<string>()
        for (const operation of plan(demo, { instances: [] }, request).operations) {
          expect(operation.dependsOn.every((id) => seen.has(id))).toBe(true)
          seen.add(operation.id)
        }
      }),
    )
  })
})
