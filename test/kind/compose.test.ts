import { describe, expect, it } from 'vitest'
import { base, compose, fallbackOf, local, named, patched, placed, readYamlFile } from './manifests.js'

// The manifests of kind/ held against compose/compose.yaml: the same shop twice.

const services = Object.entries(compose.services)

function sorted(names: readonly string[]): readonly string[] {
  return names.toSorted((left, right) => left.localeCompare(right))
}

describe('the manifests and compose.yaml', () => {
  it('have the same services, under the same names', () => {
    const names = placed.filter(({ init }) => !init).map(({ container }) => container.name)
    expect(sorted(names)).toEqual(sorted(Object.keys(compose.services)))
  })

  it.each(services)('%s: the same image', (name, service) => {
    const built = name === 'migrate' ? 'shop-api' : `shop-${name}`
    const expected = service.build === undefined ? fallbackOf(service.image ?? '') : built
    expect(named(name).container.image).toBe(expected)
  })

  it.each(services)('%s: as much memory', (name, { mem_limit }) => {
    const limits = patched(name)?.resources?.limits ?? named(name).container.resources?.limits
    expect(limits?.['memory']).toBe(mem_limit.replace(/m$/, 'Mi').replace(/g$/, 'Gi'))
  })

  it.each(services)('%s: the same variables', (name, { environment = {} }) => {
    expect(variablesOf(name)).toEqual(environment)
  })

  it('publish the same ports on this machine', () => {
    const published = services.flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, fallbackOf(port).split(':').slice(1)]),
    )
    const annotated = local.flatMap(({ kind, metadata: { name, annotations } }) => {
      const port = annotations?.['devstack.dev/local-port']
      if (kind !== 'Service' || port === undefined) return []
      const service = base.find((object) => object.kind === 'Service' && object.metadata.name === name)
      const [target] = service?.spec?.ports ?? []
      return [[name, [port, String(target?.port)]]]
    })
    expect(Object.fromEntries(annotated)).toEqual(Object.fromEntries(published))
  })

  it('start Redis with the same options, but for a cache that is kept over a restart', () => {
    const options = named('redis').container.args ?? []
    const forgetful = options.map((word, index) => (options[index - 1] === '--save' ? '' : word))
    expect(forgetful).toEqual(compose.services['redis']?.command)
    expect(named('migrate').container.command).toEqual(compose.services['migrate']?.command)
  })

  it('leave every folder open that saved files go into', () => {
    const targets = services.flatMap(([name, { develop }]) =>
      (develop?.watch ?? []).flatMap(({ target }) => (target === undefined ? [] : [{ name, target }])),
    )
    expect(targets.length).toBeGreaterThan(10)
    for (const { name, target } of targets) {
      for (const { mountPath } of named(name).container.volumeMounts ?? []) {
        expect(`${target}/`.startsWith(`${mountPath}/`), `${mountPath} hides ${target} of ${name}`).toBe(
          false,
        )
        expect(`${mountPath}/`.startsWith(`${target}/`), `${mountPath} is below ${target} of ${name}`).toBe(
          false,
        )
      }
    }
  })
})

/** Those of the environment and of the ConfigMaps and Secrets that it takes in whole. */
function variablesOf(name: string): Record<string, string> {
  const literals = new Map<string, readonly string[]>(
    ['kind/base', 'kind/overlays/local'].flatMap((folder) => {
      const { configMapGenerator = [], secretGenerator = [] } = readYamlFile(
        `${folder}/kustomization.yaml`,
      ) as Kustomization
      return [
        ...configMapGenerator.map(({ name, literals }) => [`ConfigMap ${name}`, literals] as const),
        ...secretGenerator.map(({ name, literals }) => [`Secret ${name}`, literals] as const),
      ]
    }),
  )
  const pairs = (source: string): readonly (readonly [string, string])[] =>
    (literals.get(source) ?? []).map((text) => {
      const [key = '', ...value] = text.split('=')
      return [key, value.join('=')] as const
    })
  const { env = [], envFrom = [] } = named(name).container
  return Object.fromEntries([
    ...envFrom.flatMap(({ configMapRef, secretRef }) =>
      pairs(
        configMapRef === undefined ? `Secret ${String(secretRef?.name)}` : `ConfigMap ${configMapRef.name}`,
      ),
    ),
    ...[...env, ...(patched(name)?.env ?? [])].flatMap(({ name, value, valueFrom }) => {
      if (name === 'PGDATA') return []
      const secret = valueFrom?.secretKeyRef?.name
      return secret === undefined
        ? [[name, value ?? ''] as const]
        : pairs(`Secret ${secret}`).filter(([key]) => key === name)
    }),
  ])
}

interface Kustomization {
  readonly configMapGenerator?: readonly { readonly name: string; readonly literals: readonly string[] }[]
  readonly secretGenerator?: readonly { readonly name: string; readonly literals: readonly string[] }[]
}
