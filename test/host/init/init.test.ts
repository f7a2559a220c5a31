import { readFile, symlink } from 'node:fs/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../../src/core/config.js'
import { readYaml } from '../../../src/core/yaml.js'
import { initProject, writeInit } from '../../../src/host/init/init.js'
import { detectPreset } from '../../../src/presets/presets.js'
import { TELLING_FILES } from '../../../src/presets/preset.js'
import { Folder } from '../project/folder.js'

const draft = (folder: Folder, cwd = '') =>
  initProject({ folder: folder.at(cwd), detect: detectPreset, telling: TELLING_FILES })

const configOf = (text: string) => {
  const { config, problems } = readConfig(readYaml(text, 'devstack.yaml'))
  expect(problems).toEqual([])
  return config
}

const react = '{"dependencies":{"react":"19"},"devDependencies":{"vite":"8"}}'
const deployment = 'apiVersion: apps/v1\nkind: Deployment\n'

test('a project with all of it', async () => {
  await using folder = await Folder.with({
    'shop/deploy/compose.yaml':
      'services:\n  api: { build: ../api }\n  web: { build: { context: ../web }, develop: { watch: [{ action: rebuild, path: x }] } }\n  proxy: { image: "nginx:1" }\n  db: { image: "postgres:17" }\n',
    'shop/deploy/compose.production.yaml': 'services: {}\n',
    'shop/api/requirements.txt': 'flask==3\n',
    'shop/web/package.json': react,
    'shop/admin/package.json': react,
    'shop/kind/cluster.yaml': 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n',
    'shop/kind/manifests/api.yaml': deployment,
    'shop/k8s/overlays/production/kustomization.yaml': 'resources: [a.yaml]\n',
    'shop/k8s/overlays/production/a.yaml': deployment,
    'shop/web/node_modules/react/package.json': react,
  })
  const { text, found, existing, path } = await draft(folder, 'shop')
  expect(path).toBe(folder.at('shop/devstack.yaml'))
  expect(existing).toBeNull()
  expect(text).toMatchInlineSnapshot(`
    "# yaml-language-server: $schema=./node_modules/devstack/dist/devstack.schema.json

    name: shop

    compose: [deploy/compose.yaml]
    # Also there: deploy/compose.production.yaml

    services:
      api: { preset: flask } # Flask in requirements.txt
      web: { preset: react } # React and Vite in package.json; its watch rules are in the Compose file
      proxy: { preset: nginx } # the image nginx:1
    # admin looks like react (React and Vite in package.json), but no service is built from it.

    kind: { cluster: kind/cluster.yaml, manifests: kind/manifests }

    # What runs in production, to compare with.
    production:
      production: { manifests: k8s/overlays/production }

    # Where images come from: auto (a registry where one answers, else built here), registry, local.
    # images: { source: auto }
    "
  `)
  expect(configOf(text)).toEqual({
    name: 'shop',
    compose: ['deploy/compose.yaml'],
    services: { api: { preset: 'flask' }, web: { preset: 'react' }, proxy: { preset: 'nginx' } },
    kind: { cluster: 'kind/cluster.yaml', manifests: 'kind/manifests' },
    production: { production: { manifests: 'k8s/overlays/production' } },
  })
  expect(found.applications).toEqual([
    { folder: 'admin', preset: 'react', reason: 'React and Vite in package.json' },
  ])
})

describe('which Compose file is meant', () => {
  test.each([
    [['compose.yaml', 'docker/docker-compose.yml'], 'compose.yaml', ['docker/docker-compose.yml']],
    [
      ['docker-compose.dev.yml', 'docker-compose.prod.yml'],
      'docker-compose.dev.yml',
      ['docker-compose.prod.yml'],
    ],
    [['a/b/compose.yaml', 'z/compose.yml'], 'z/compose.yml', ['a/b/compose.yaml']],
    [['composer.yaml', 'my-compose.yaml'], null, []],
  ])('%j: %s', async (files, compose, otherCompose) => {
    await using folder = await Folder.with(Object.fromEntries(files.map((file) => [file, 'services: {}\n'])))
    expect((await draft(folder)).found).toMatchObject({ compose, otherCompose })
  })
})

test('an empty folder gets a file of comments, which is a valid configuration', async () => {
  await using folder = await Folder.with({ 'My Project/x': '' })
  const { text } = await draft(folder, 'My Project')
  expect(configOf(text)).toEqual({})
  expect(text).toMatchInlineSnapshot(`
    "# yaml-language-server: $schema=./node_modules/devstack/dist/devstack.schema.json

    # The project is named after its folder, as Compose does.
    # name: myproject

    # No Compose file was found: name it here.
    # compose: [compose.yaml]

    # services:
    #   api: { preset: flask, watch: [{ action: sync, path: ./api, target: /app }] }

    # What runs in production, to compare with.
    # production:
    #   aws: { manifests: deploy/production }

    # Where images come from: auto (a registry where one answers, else built here), registry, local.
    # images: { source: auto }
    "
  `)
})

test('the usual Compose file needs no key, and its name is not written twice', async () => {
  await using folder = await Folder.with({ 'compose.yaml': 'name: corner\nservices: { a: { image: x } }\n' })
  const { text } = await draft(folder)
  expect(configOf(text)).toEqual({})
  expect(text).toContain("# The project's name is the Compose file's: corner")
})

test('nothing is written until it is asked for, and never over a file', async () => {
  await using folder = await Folder.with({ 'compose.yaml': 'services: {}\n' })
  const plan = await draft(folder)
  await expect(readFile(folder.at('devstack.yaml'))).rejects.toMatchObject({ code: 'ENOENT' })
  await writeInit(plan)
  expect(await readFile(folder.at('devstack.yaml'), 'utf8')).toBe(plan.text)
  await expect(writeInit(plan)).rejects.toMatchObject({ code: 'USAGE' })
  await expect(writeInit(await draft(folder))).rejects.toMatchObject({ code: 'USAGE' })
})

test('a devstack.yml is a devstack.yaml, and a dangling link is not written through', async () => {
  await using folder = await Folder.with({ 'a/devstack.yml': 'name: x\n', 'b/x': '' })
  expect((await draft(folder, 'a')).existing).toBe(folder.at('a/devstack.yml'))
  await symlink(folder.at('elsewhere'), folder.at('b/devstack.yaml'))
  await expect(writeInit(await draft(folder, 'b'))).rejects.toMatchObject({ code: 'USAGE' })
  await expect(readFile(folder.at('elsewhere'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a link in a circle and a broken Compose file do no harm', async () => {
  await using folder = await Folder.with({
    'compose.yaml': 'services: [\n',
    'api/requirements.txt': 'flask\n',
  })
  await symlink(folder.path, folder.at('api/loop'))
  const { found, text } = await draft(folder)
  expect(found.applications.map((one) => one.folder)).toEqual(['api'])
  expect(configOf(text)).toEqual({})
})

test('whatever files and services are called, the draft is a valid configuration that says just that', async () => {
  const word = fc.string({
    unit: fc.constantFrom(
      'a',
      'B',
      '1',
      '-',
      '_',
      ' ',
      ':',
      '#',
      "'",
      '"',
      ',',
      '[',
      ']',
      '{',
      '}',
      '&',
      '*',
      '!',
      '%',
      '\n',
      'ü',
      '\u2028',
      '\u0085',
      '\uFEFF',
      '\t',
    ),
    minLength: 1,
    maxLength: 8,
  })
  const folderName = word.filter((name) => !/^(dist|build)$/.test(name))
  const property = fc.asyncProperty(folderName, word, async (inner, service) => {
    await using folder = await Folder.with({
      [`x${inner}/compose.yaml`]: JSON.stringify({ services: { [service]: { image: 'nginx:1' } } }),
      [`x${inner}/prod/kustomization.yaml`]: '',
    })
    const config = configOf((await draft(folder)).text)
    expect(config?.compose).toEqual([`x${inner}/compose.yaml`])
    expect(config?.services).toEqual({ [service]: { preset: 'nginx' } })
    expect(Object.values(config?.production ?? {})).toEqual([{ manifests: `x${inner}/prod` }])
  })
  await fc.assert(property, { numRuns: 60 })
})
