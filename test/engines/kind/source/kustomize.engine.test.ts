import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { projectFromKubernetes } from '../../../../src/core/kubernetes.js'
import { KUBE_ANNOTATION } from '../../../../src/engines/kind/pods.js'
import { readDocuments } from '../../../../src/engines/kind/source/documents.js'
import { readManifests } from '../../../../src/engines/kind/source/manifests.js'
import { LAYERED, RENDERED } from './layered.js'
import { tree } from './tree.js'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const KUBECTL = 'kubectl'
const never = new AbortController().signal
const read = (path: string) => readManifests({ paths: [path], kubectl: KUBECTL, env: process.env }, never)

function hasKubectl(): boolean {
  try {
    execFileSync(KUBECTL, ['version', '--client'], {
      env: { ...process.env, KUBECONFIG: '/dev/null' },
      stdio: 'ignore',
    })
    return true
  } catch (error) {
    if ((process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('kind')) throw error
    process.stderr.write('skipped: there is no kubectl (DEVSTACK_ENGINES=kind makes this a failure)\n')
    return false
  }
}

describe.skipIf(!hasKubectl())('the real kubectl', () => {
  test('makes of the layers what the tests without it take it to make', async () => {
    const { objects, problems } = await read(tree(LAYERED).path('overlay'))
    expect(problems).toEqual([])
    expect(objects).toEqual(readDocuments(RENDERED, 'rendered').documents.map(({ value }) => value))
  })

  test('says what is wrong, at the file that it names', async () => {
    const at = tree({
      'k/kustomization.yaml': 'resources: [api.yaml]\npatches: [{ path: patch.yaml }]\n',
      'k/api.yaml': 'apiVersion: v1\nkind: Secret\nmetadata: { name: a }\n',
      // No name, so nobody can say whom it is for.
      'k/patch.yaml': 'apiVersion: v1\nkind: Secret\n',
    })
    const { problems } = await read(at.path('k'))
    expect(at.told(problems)).toEqual([
      expect.stringMatching(/^k\/patch\.yaml:1:1 kustomize: unable to parse SM or JSON patch from/),
    ])
  })

  test.each(['local', 'nodeport'])(
    'the shop of the overlay %s is read whole, each service at its place',
    async (name) => {
      const manifests = await read(`${root}kind/overlays/${name}`)
      expect(manifests.problems).toEqual([])
      const { project, problems } = projectFromKubernetes(manifests.objects, {
        name: 'shop',
        engine: 'kind',
        folder: root,
        files: manifests.inputs,
        annotations: KUBE_ANNOTATION,
        locate: manifests.locate,
      })
      expect(problems).toEqual([])
      expect(Object.keys(project.services).sort()).toEqual([
        'api',
        'elasticsearch',
        'migrate',
        'nginx',
        'postgres',
        'redis',
        'web',
      ])
      for (const { at } of Object.values(project.services))
        expect(at?.file).toMatch(/kind\/(base|overlays\/local)\/.*\.yaml$/)
      for (const { at } of Object.values(project.services)) expect(manifests.inputs).toContain(at?.file)
    },
  )
})
