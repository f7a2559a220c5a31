import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { parseReference } from '../../../../src/engines/images/reference.js'
import { loadNodeRecipe } from '../../../../src/engines/kind/node-image/recipe.js'

const KIND = new URL('../../../../kind/', import.meta.url).pathname
const NODE = join(KIND, 'node')

async function text(path: string): Promise<string> {
  return await readFile(join(NODE, path), 'utf8')
}

describe('the recipe', () => {
  test('names a version of Kubernetes and the image of the same minor version, by digest', async () => {
    const { kubernetes, registryImage, ref, hash } = await loadNodeRecipe(KIND)
    const { tag, digest } = parseReference(registryImage)
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(tag?.split('.').slice(0, 2)).toEqual(`v${kubernetes}`.split('.').slice(0, 2))
    expect(ref).toBe(`devstack/kind-node:${hash}`)
  })

  test('builds the versions that its modules require', async () => {
    const { recipe } = await loadNodeRecipe(KIND)
    const args = recipe.buildArgs ?? {}
    const kubernetes = await text('kubernetes/go.mod')
    const version = args['KUBERNETES_VERSION'] ?? ''
    expect(kubernetes).toContain(`k8s.io/kubernetes v${version}\n`)
    // Kubernetes' parts are replaced one by one: none may be of another version.
    const parts = [...kubernetes.matchAll(/=> k8s\.io\/[a-z-]+ v0\.(\S+)/g)].map(([, part]) => part)
    expect(parts.length).toBeGreaterThan(20)
    expect(new Set(parts)).toEqual(new Set([version.slice(2)]))
    expect(kubernetes).toContain(
      `go.etcd.io/etcd/server/v3 v${(args['ETCD_IMAGE_VERSION'] ?? '').split('-')[0] ?? ''}\n`,
    )
    expect(await text('coredns/go.mod')).toContain(
      `github.com/coredns/coredns v${args['COREDNS_VERSION'] ?? ''}\n`,
    )
    expect(await text('tools/go.mod')).toContain(`sigs.k8s.io/kind v${args['KIND_VERSION'] ?? ''}\n`)
  })

  test('holds the sum of every module', async () => {
    for (const module of ['kubernetes', 'coredns', 'tools']) {
      const sums = await text(`${module}/go.sum`)
      const required = [...(await text(`${module}/go.mod`)).matchAll(/^\t(\S+) (v\S+)(?: \/\/ indirect)?$/gm)]
      expect(required.length).toBeGreaterThan(2)
      // v0.0.0: a part of Kubernetes that is replaced by its release.
      const missing = required.filter(
        ([, name = '', version = '']) =>
          !sums.includes(`${name} ${version === 'v0.0.0' ? 'v0.34.' : `${version} h1:`}`),
      )
      expect(missing.map(([line]) => line.trim())).toEqual([])
    }
  })

  test('names no host that packages come from', async () => {
    for (const entry of await readdir(NODE, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || /^go\.(?:mod|sum)$/.test(entry.name)) continue
      const content = await readFile(join(entry.parentPath, entry.name), 'utf8')
      expect(content, entry.name).not.toMatch(/deb\.debian\.org|proxy\.golang\.org|https?:\/\/(?!127\.)[a-z]/)
    }
  })
})

describe('the hash of the recipe', () => {
  let copy: string

  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), 'ds-node-recipe-'))
    await cp(NODE, join(copy, 'node'), { recursive: true })
  })

  afterEach(async () => {
    await rm(copy, { recursive: true })
  })

  test('is the same for the same files, wherever they are', async () => {
    expect((await loadNodeRecipe(copy)).hash).toBe((await loadNodeRecipe(KIND)).hash)
  })

  test.each(['tools/agent/network.go', 'kubernetes/go.sum', 'manifests/default-cni.yaml', 'recipe.json'])(
    'changes with %s',
    async (path) => {
      await writeFile(join(copy, 'node', path), `${await text(path)}\n`)
      expect((await loadNodeRecipe(copy)).hash).not.toBe((await loadNodeRecipe(KIND)).hash)
    },
  )
})

describe('the manifests that kind applies', () => {
  test('ask kind for its two services, and name only the image that is inside', async () => {
    const network = await text('manifests/default-cni.yaml')
    expect(network).toContain('would you kindly template this file')
    expect(network).toContain('would you kindly patch this file')
    const archive = await text('images/archive.sh')
    for (const file of ['default-cni.yaml', 'default-storage.yaml']) {
      for (const [, image = ''] of (await text(`manifests/${file}`)).matchAll(/image: (\S+)/g)) {
        expect(archive).toContain(`image ${image} `)
      }
    }
  })

  test('make one storage class, the default one, that waits for the pod', async () => {
    const documents = parseAllDocuments(await text('manifests/default-storage.yaml'))
    const [storage] = documents.map((document) => document.toJS() as Record<string, unknown>)
    expect(storage).toMatchObject({ kind: 'StorageClass', volumeBindingMode: 'WaitForFirstConsumer' })
    const annotations = parse(String(documents[0])) as { metadata: { annotations: object } }
    expect(annotations.metadata.annotations).toEqual({
      'storageclass.kubernetes.io/is-default-class': 'true',
    })
  })
})
