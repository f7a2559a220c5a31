import { expect, test } from 'vitest'
import { devstackSchema, readConfig } from '../../src/core/config.js'
import { formatPosition } from '../../src/core/error.js'
import { readYaml } from '../../src/core/yaml.js'

const read = (text: string) => readConfig(readYaml(text, 'devstack.yaml'))

const lines = (text: string) =>
  read(text).problems.map(({ message, at, hint }) => {
    const place = at === null ? '?' : formatPosition(at)
    return `${place} ${message}${hint === null ? '' : ` (${hint})`}`
  })

const sample = `
name: shop
compose: [compose/compose.yaml]
kind: { cluster: kind/cluster.yaml, manifests: kind/manifests }
engine: compose
production:
  aws: { manifests: fixtures/production/overlays/aws }
services:
  api: { preset: flask, watch: [{ action: sync, path: api, target: /app, ignore: ['*.pyc'] }] }
  worker: { watch: [{ action: sync+exec, path: w, target: /w, initial_sync: true, exec: { command: a b, environment: { A: 1 } } }] }
  web: { preset: react }
parity: { map: { api: backend }, waivers: [{ rule: IMG01, reason: local build }] }
images: { source: auto }
`

test('every key of the documented sample is accepted', () => {
  const { config, problems } = read(sample)
  expect(problems).toEqual([])
  expect(config?.services?.['api']?.watch?.[0]).toEqual({
    action: 'sync',
    path: 'api',
    target: '/app',
    ignore: ['*.pyc'],
  })
})

test('an empty file is an empty configuration', () => {
  expect(read('# nothing yet\n')).toEqual({ config: {}, problems: [] })
})

test('every problem is told at its place, and with what may be meant', () => {
  expect(
    lines(`name: My Shop
compos: [a.yaml]
engine: dockr
services:
  api:
    presett: flask
    watch:
      - { action: synk, path: api }
      - { action: sync }
      - path: 5
        action: rebuild
  web: react
images:
  source: [auto]
colour: red
`),
  ).toMatchInlineSnapshot(`
    [
      "devstack.yaml:1:7 name: "My Shop" must begin with a lowercase letter or digit and have only a-z, 0-9, _ and -",
      "devstack.yaml:2:1 unknown key "compos" (did you mean "compose"?)",
      "devstack.yaml:3:9 engine: unknown value "dockr" (one of compose, kind, kubernetes)",
      "devstack.yaml:6:5 unknown key "presett" in services.api (did you mean "preset"?)",
      "devstack.yaml:8:19 services.api.watch[0].action: unknown value "synk" (did you mean "sync"?)",
      "devstack.yaml:9:9 "path" is missing in services.api.watch[1]",
      "devstack.yaml:10:15 services.api.watch[2].path: must be text, is number 5",
      "devstack.yaml:12:8 services.web: must be a map, is "react"",
      "devstack.yaml:14:11 images.source: unknown value a list (one of auto, registry, local)",
      "devstack.yaml:15:1 unknown key "colour" (known keys: name, compose, kind, engine, kubernetes, production, services, parity, images)",
    ]
  `)
})

test.each([
  ['- a\n', ['devstack.yaml:1:1 devstack.yaml: must be a map, is a list']],
  ['compose: 5\n', ['devstack.yaml:1:10 compose: must be text or a list, is number 5']],
  ['name:\n', ['devstack.yaml:1:6 name: must be text, is empty']],
  ['a: 1\na: 2\n', ['devstack.yaml:2:1 the key "a" is written twice']],
  ['name: x\n---\nname: y\n', ['devstack.yaml:1:1 more than one YAML document (keep only one)']],
  ['name: [\n', [expect.stringContaining('devstack.yaml:2:1') as string]],
  [
    'engine: kubernetes\n',
    [
      'devstack.yaml:1:9 engine: kubernetes needs context, server, namespace and registry under the key kubernetes',
    ],
  ],
])('%j', (text, expected) => {
  expect(lines(text)).toEqual(expected)
})

/** Of a cluster that somebody else runs, with one word of it otherwise. */
const kubernetes = (key: string, value: string): string => {
  const words: Record<string, string> = {
    context: 'team-dev',
    server: 'https://10.0.0.5:6443',
    namespace: "'shop-{user}'",
    registry: 'registry.team.example/shop',
    [key]: value,
  }
  const written = Object.entries(words).map(([name, word]) => `  ${name}: ${word}\n`)
  return `engine: kubernetes\nkubernetes:\n${written.join('')}`
}

test.each([
  ['namespace', 'shop'],
  ['namespace', "'{user}'"],
  ['server', 'https://cluster.team.example'],
  ['server', 'https://rancher.team.example/k8s/clusters/c-1'],
  ['registry', '127.0.0.1:5001'],
  ['manifests', 'k8s/overlays/dev'],
])('a cluster of the team, with %s: %s', (key, value) => {
  expect(lines(kubernetes(key, value))).toEqual([])
})

test.each([
  ['server', 'http://10.0.0.5:6443', '4:11', 'must be an address such as https://10.0.0.5:6443'],
  ['server', '10.0.0.5:6443', '4:11', 'must be an address such as https://10.0.0.5:6443'],
  [
    'namespace',
    'Shop',
    '5:14',
    'must begin with a lowercase letter or digit and have only a-z, 0-9, - and {user}',
  ],
  [
    'registry',
    'https://registry.team.example',
    '6:13',
    'must be a host and a path, without https:// and without a tag',
  ],
])('a cluster of the team, with %s: %s, is refused', (key, value, place, why) => {
  expect(lines(kubernetes(key, value))).toEqual([
    `devstack.yaml:${place} kubernetes.${key}: "${value}" ${why}`,
  ])
})

test.each(['default', 'kube-system'])('the namespace %s is no stack', (name) => {
  expect(lines(kubernetes('namespace', name))).toEqual([
    "devstack.yaml:5:14 kubernetes.namespace: must be the stack's own, and this one is the cluster's",
  ])
})

test('a cluster of the team without a server or a namespace is refused', () => {
  expect(lines('engine: kubernetes\nkubernetes: { context: team-dev }\n')).toEqual([
    'devstack.yaml:2:1 "server" is missing in kubernetes',
    'devstack.yaml:2:1 "namespace" is missing in kubernetes',
    'devstack.yaml:2:1 "registry" is missing in kubernetes',
  ])
})

test('the JSON Schema for editors has every key, and a description of most', () => {
  const schema = devstackSchema() as { properties: Record<string, { description?: string }> }
  expect(Object.keys(schema.properties).sort()).toEqual([
    'compose',
    'engine',
    'images',
    'kind',
    'kubernetes',
    'name',
    'parity',
    'production',
    'services',
  ])
  expect(schema).toMatchObject({ additionalProperties: false, title: 'devstack.yaml' })
  expect(schema.properties['compose']?.description).toContain('Compose files')
})
