import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ManifestObject } from '../../../../src/core/kubernetes-objects.js'
import type { Path } from '../../../../src/core/yaml.js'
import { readManifests } from '../../../../src/engines/kind/source/manifests.js'
import type { Manifests } from '../../../../src/engines/kind/source/manifests.js'
import { LAYERED, RENDERED } from './layered.js'
import { fakeKubectl, tree } from './tree.js'
import type { Tree } from './tree.js'

const never = new AbortController().signal
const env = { PATH: process.env['PATH'] }

const read = (at: Tree, paths: readonly string[], kubectl = '/not/there') =>
  readManifests({ paths: paths.map((name) => at.path(name)), kubectl, env }, never)

const api = (more = '') => `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: api }\nspec: {${more}}\n`
const conf = (name: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n`

const named = ({ objects }: Manifests, kind: string): ManifestObject => {
  const found = objects.find((object) => object.kind === kind)
  if (found === undefined) throw new Error(`no ${kind}`)
  return found
}

describe('plain files', () => {
  test('give their objects, each with its places', async () => {
    const at = tree({
      'm/a.yaml': `# first\n---\n${api('replicas: 2')}---\n${conf('x')}`,
      'm/b.json': JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } }),
      'm/notes.txt': 'x',
    })
    const manifests = await read(at, ['m'])
    expect(at.told(manifests.problems)).toEqual([])
    expect(manifests.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      'Deployment api',
      'ConfigMap x',
      'Secret s',
    ])
    const place = (kind: string, path: Path) => at.place(manifests.locate(named(manifests, kind), path))
    expect(place('Deployment', [])).toBe('m/a.yaml:3:1')
    expect(place('Deployment', ['spec', 'replicas'])).toBe('m/a.yaml:6:8')
    expect(place('ConfigMap', ['metadata', 'name'])).toBe('m/a.yaml:11:3')
    expect(place('ConfigMap', ['data', 'gone'])).toBe('m/a.yaml:8:1')
    expect(manifests.inputs.map((path) => path.slice(at.root.length + 1))).toEqual(['m/a.yaml', 'm/b.json'])
  })

  test('an object is found again in the namespace that it is applied to', async () => {
    const at = tree({ 'a.yaml': api() })
    const manifests = await read(at, ['a.yaml'])
    const applied = { ...named(manifests, 'Deployment'), metadata: { name: 'api', namespace: 'devstack-x' } }
    expect(at.place(manifests.locate(applied, ['kind']))).toBe('a.yaml:2:1')
    expect(manifests.locate({ ...applied, kind: 'Secret' }, [])).toBeNull()
  })

  test('a List gives what is in it', async () => {
    const at = tree({
      'a.yaml': `apiVersion: v1\nkind: List\nitems:\n  - ${conf('x').trim().replaceAll('\n', '\n    ')}\n`,
    })
    const manifests = await read(at, ['a.yaml'])
    expect(at.place(manifests.locate(named(manifests, 'ConfigMap'), ['metadata', 'name']))).toBe('a.yaml:7:7')
  })

  test('octal numbers are what Kubernetes takes them for', async () => {
    const at = tree({
      'a.yaml': `${conf('x')}modes: [0644, 0o755, 12, 010, "0644"]\ntext: a 0644\nlast: 0400\n`,
    })
    expect(named(await read(at, ['a.yaml']), 'ConfigMap')).toMatchObject({
      modes: [0o644, 0o755, 12, 8, '0644'],
      text: 'a 0644',
      last: 0o400,
    })
  })

  test('every problem of every file is told at its place', async () => {
    const at = tree({
      'm/a.yaml': `---\na: b: c\n---\n${api()}`,
      'm/b.yaml': `${conf('x')}---\nkind: ConfigMap\nmetadata: { generateName: x }\n---\n[1]\n`,
      'm/c.yaml': conf('x'),
    })
    const { problems, objects } = await read(at, ['m'])
    expect(at.told(problems)).toEqual([
      'm/a.yaml:2:4 nested mappings are not allowed in compact mappings',
      'm/b.yaml:6:1 a Kubernetes object without apiVersion and metadata.name (generateName makes a new object each time; give it a name)',
      'm/b.yaml:9:1 this is no Kubernetes object (every object has apiVersion, kind and metadata.name)',
      'm/c.yaml:1:1 ConfigMap x is written twice (the other: m/b.yaml:1) (give one of them another name, or take it out)',
    ])
    expect(objects).toEqual([])
  })

  test('what is not there is told, and watched for', async () => {
    const at = tree({ 'empty/x.txt': '' })
    const { problems, inputs } = await read(at, ['gone', 'empty'])
    expect(at.told(problems).map((line) => line.replaceAll(at.root, ''))).toEqual([
      '- gone does not exist',
      '- empty holds no manifests (name a folder with a kustomization.yaml)',
    ])
    expect(inputs).toEqual([at.path('gone')])
  })

  test('a bomb, a pipe-sized file and what is not UTF-8 are refused', async () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]']
    for (let level = 1; level < 9; level++) {
      const before = String.fromCharCode(96 + level)
      const name = String.fromCharCode(97 + level)
      bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`)
    }
    const at = tree({ 'm/bomb.yaml': bomb.join('\n'), 'm/long.yaml': `a: ${'x'.repeat(1_100_000)}` })
    const told = at.told((await read(at, ['m'])).problems)
    expect(told).toHaveLength(2)
    expect(told[0]).toContain('aliases multiply them')
    expect(told[1]).toContain('more than 1048576 are not read')
  })
})

describe('a kustomization', () => {
  const layered = async () => {
    const at = tree(LAYERED)
    const manifests = await read(at, ['overlay'], fakeKubectl(at, { stdout: RENDERED }))
    return { at, manifests }
  }

  test('is put together by kubectl, which is told of no cluster', async () => {
    const { at, manifests } = await layered()
    expect(at.told(manifests.problems)).toEqual([])
    expect(manifests.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      'ConfigMap dev-conf-df448g4958',
      'Service dev-api',
      'Deployment dev-api',
    ])
    expect(readFileSync(at.path('fake-calls'), 'utf8')).toBe(
      `kustomize ${at.path('overlay')} KUBECONFIG=/dev/null\n`,
    )
  })

  const pod: Path = ['spec', 'template', 'spec']
  test.each<[string, Path, string]>([
    // Of the resource: a map is there where it was first.
    ['Deployment', [...pod, 'containers', 0], 'base/api.yaml:12:11'],
    ['Deployment', [...pod, 'containers', 1], 'base/api.yaml:20:11'],
    ['Deployment', [], 'base/api.yaml:2:1'],
    ['Deployment', [...pod, 'containers', 0, 'image'], 'base/api.yaml:13:11'],
    ['Deployment', [...pod, 'containers', 0, 'volumeMounts', 0, 'mountPath'], 'base/api.yaml:19:29'],
    ['Deployment', [...pod, 'containers', 0, 'env', 2, 'value'], 'base/api.yaml:15:26'],
    ['Deployment', [...pod, 'containers', 1, 'name'], 'component/debug.yaml:8:11'],
    // Of the last patch that sets it.
    ['Deployment', [...pod, 'containers', 0, 'env', 0, 'value'], 'overlay/patch.yaml:12:15'],
    ['Deployment', [...pod, 'containers', 0, 'env', 1, 'name'], 'overlay/patch.yaml:13:15'],
    ['Deployment', [...pod, 'containers', 1, 'tty'], 'component/debug.yaml:9:11'],
    ['Deployment', ['spec', 'strategy', 'type'], 'overlay/kustomization.yaml:26:21'],
    ['Service', ['spec', 'type'], 'overlay/kustomization.yaml:31:9'],
    // Of a short field.
    ['Deployment', [...pod, 'containers', 1, 'image'], 'overlay/kustomization.yaml:11:5'],
    ['Deployment', ['spec', 'replicas'], 'overlay/kustomization.yaml:14:5'],
    ['Service', ['metadata', 'namespace'], 'overlay/kustomization.yaml:1:1'],
    ['Service', ['metadata', 'labels', 'tier'], 'overlay/kustomization.yaml:6:14'],
    ['Service', ['metadata', 'annotations', 'owner'], 'overlay/kustomization.yaml:8:3'],
    // Of a generator.
    ['ConfigMap', [], 'base/kustomization.yaml:5:5'],
    ['ConfigMap', ['data', 'LEVEL'], 'base/kustomization.yaml:7:9'],
    ['ConfigMap', ['data', 'MODE'], 'overlay/kustomization.yaml:18:16'],
    ['ConfigMap', ['data', 'app.ini'], 'base/kustomization.yaml:10:9'],
    ['ConfigMap', ['data', 'other.ini'], 'base/kustomization.yaml:11:9'],
    // Of nobody: as near as it is written.
    ['Deployment', [...pod, 'containers', 0, 'livenessProbe'], 'base/api.yaml:12:11'],
    ['Deployment', ['spec', 'progress'], 'base/api.yaml:6:1'],
  ])('the place of %s %j', async (kind, path, expected) => {
    const { at, manifests } = await layered()
    expect(at.place(manifests.locate(named(manifests, kind), path))).toBe(expected)
  })

  test('all that it names is watched', async () => {
    const { at, manifests } = await layered()
    expect(manifests.inputs.map((path) => path.slice(at.root.length + 1)).sort()).toEqual(
      Object.keys(LAYERED).sort(),
    )
  })

  test.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
    [
      'a file that is missing',
      { 'k/kustomization.yaml': 'resources: [apy.yaml, ../gone]\n', 'k/api.yaml': api() },
      [
        'k/kustomization.yaml:1:13 k/apy.yaml does not exist (did you mean "api.yaml"?)',
        'k/kustomization.yaml:1:23 gone does not exist',
      ],
    ],
    [
      'a folder without a kustomization',
      { 'k/kustomization.yaml': 'resources: [../b]\n', 'b/api.yaml': api() },
      [
        'k/kustomization.yaml:1:13 the folder b has no kustomization (one of kustomization.yaml, kustomization.yml, Kustomization makes it one)',
      ],
    ],
    [
      'a field that it does not have',
      { 'k/kustomization.yaml': 'resourcess: []\n' },
      ['k/kustomization.yaml:1:1 a kustomization has no field "resourcess" (did you mean "resources"?)'],
    ],
    [
      'a circle',
      { 'k/kustomization.yaml': 'resources: [../b]\n', 'b/kustomization.yaml': 'resources: [../k]\n' },
      ['b/kustomization.yaml:1:13 the kustomization leads back to itself: k -> b -> k'],
    ],
    [
      'a patch for nobody',
      {
        'k/kustomization.yaml':
          'resources: [api.yaml]\npatches:\n  - path: p.yaml\n  - target: { kind: Deployment, name: apo }\n    patch: "[{ op: remove, path: /spec }]"\n',
        'k/api.yaml': api(),
        'k/p.yaml': api().replace('name: api', 'name: apu'),
      },
      [
        'k/kustomization.yaml:4:5 the patch is for Deployment apo, which is not there (did you mean "api"?)',
        'k/p.yaml:3:13 the patch is for Deployment apu, which is not there (did you mean "api"?)',
      ],
    ],
    [
      'a patch that is no YAML, in a block',
      {
        'k/kustomization.yaml':
          'resources: [api.yaml]\npatches:\n  - patch: |-\n      kind: Deployment\n      a: b: c\n',
        'k/api.yaml': api(),
      },
      ['k/kustomization.yaml:5:5 nested mappings are not allowed in compact mappings'],
    ],
    [
      'the same object twice',
      { 'k/kustomization.yaml': 'resources: [a.yaml, b.yaml]\n', 'k/a.yaml': api(), 'k/b.yaml': api() },
      [
        'k/b.yaml:1:1 Deployment api is written twice (the other: k/a.yaml:1) (give one of them another name, or take it out)',
      ],
    ],
    [
      'a resource that is no YAML, and another problem',
      { 'k/kustomization.yaml': 'resources: [a.yaml]\nnamespce: x\n', 'k/a.yaml': 'a: b: c\n' },
      [
        'k/a.yaml:1:4 nested mappings are not allowed in compact mappings',
        'k/kustomization.yaml:2:1 a kustomization has no field "namespce" (did you mean "namespace"?)',
      ],
    ],
    [
      'a chart',
      { 'k/kustomization.yaml': 'helmCharts: [{ name: x }]\n' },
      [
        'k/kustomization.yaml:1:1 helmCharts: charts come from the network, and are not read (write what the chart makes into a file: helm template ... > chart.yaml)',
      ],
    ],
  ])('%s is told at its place, and kubectl is not asked', async (_, files, expected) => {
    const at = tree(files)
    const { problems, objects } = await read(at, ['k'], fakeKubectl(at, { stdout: api() }))
    expect(at.told(problems)).toEqual(expected)
    expect(objects).toEqual([])
    expect(existsSync(at.path('fake-calls'))).toBe(false)
  })

  test.each([
    'resources: ["https://example.org/a.yaml"]',
    'resources: ["github.com/example/repository//deploy?ref=v1"]',
    'resources: ["git@example.org:team/repository.git"]',
    'resources: ["ssh://git@example.org/team/repository"]',
    'resources: ["git::https://example.org/x"]',
    'resources: ["example.org/team/repository"]',
    'resources: ["../b?ref=main"]',
    'bases: ["gh:example/repository"]',
    'components: ["https://example.org/c"]',
    'patches: [{ path: "https://example.org/p.yaml" }]',
    'patchesStrategicMerge: ["http://example.org/p.yaml"]',
    'configMapGenerator: [{ name: c, files: ["a=https://example.org/f"] }]',
    'configMapGenerator: [{ name: c, envs: ["https://example.org/f"] }]',
    'openapi: { path: "https://example.org/schema.json" }',
    'crds: ["https://example.org/crd.json"]',
    'transformers: ["https://example.org/t.yaml"]',
    'replacements: [{ path: "https://example.org/r.yaml" }]',
  ])('what is in the network is refused: %s', async (text) => {
    // A folder of that very name does not make it local for kustomize.
    const at = tree({
      'k/kustomization.yaml': `${text}\n`,
      'k/github.com/example/repository/deploy?ref=v1/kustomization.yaml': '',
    })
    const { problems } = await read(at, ['k'], fakeKubectl(at, { stdout: api() }))
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('is in the network, and is not read'),
    ])
    expect(problems[0]?.at?.line).toBe(1)
    expect(existsSync(at.path('fake-calls'))).toBe(false)
  })

  test.each([
    ['error: no such thing\n', 'kustomize: no such thing'],
    [
      `E1124 14:40:40.322257    7384 run.go:72] "command failed" err="no \\"x\\" in api.yaml"\n`,
      'kustomize: no "x" in api.yaml',
    ],
    [
      `# Warning: 'bases' is deprecated.\nerror: accumulating resources: accumulating resources: wrong\n`,
      'kustomize: wrong',
    ],
    [
      'E1124 15:06:10.543910   32145 run.go:72] "command failed" err=<\n\ttrouble configuring builtin PatchTransformer with config: `\n\tpath: p.yaml\n\t`: unable to parse it\n >\n',
      'kustomize: unable to parse it',
    ],
    ['', /^kustomize: Command failed/],
  ])('what kubectl says is told without its frame (%#)', async (stderr, expected) => {
    const at = tree({ 'k/kustomization.yaml': 'resources: [api.yaml]\n', 'k/api.yaml': api() })
    const { problems } = await read(at, ['k'], fakeKubectl(at, { stderr }))
    expect(problems).toHaveLength(1)
    expect(problems[0]?.message).toEqual(
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    )
    expect(at.place(problems[0]?.at ?? null)).toBe(
      stderr.includes('api.yaml') ? 'k/api.yaml:1:1' : 'k/kustomization.yaml:1:1',
    )
  })

  test('without kubectl it says so', async () => {
    const at = tree({ 'k/kustomization.yaml': 'resources: []\n' })
    await expect(read(at, ['k'])).rejects.toMatchObject({ code: 'ENGINE_NOT_INSTALLED' })
  })

  test('an abort ends it', async () => {
    const at = tree({ 'k/kustomization.yaml': 'resources: []\n' })
    const controller = new AbortController()
    const kubectl = fakeKubectl(at, { stdout: '' })
    const reading = readManifests({ paths: [at.path('k')], kubectl, env }, controller.signal)
    controller.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
  })
})
