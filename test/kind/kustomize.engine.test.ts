import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { containersOf, parseObjects, ROOT, type Container, type Manifest } from './manifests.js'

// What kustomize, which is built into kubectl, makes of the overlays. No cluster is needed for it.

const run = promisify(execFile)

async function render(folder: string): Promise<readonly Manifest[]> {
  // No kubeconfig: this must not need to know any cluster.
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', KUBECONFIG: '/nonexistent' }
  const { stdout } = await run('kubectl', ['kustomize', folder], { cwd: ROOT, env, timeout: 30_000 })
  return parseObjects(stdout)
}

async function kubectlIsThere(): Promise<boolean> {
  const there = await run('kubectl', ['version', '--client']).then(
    () => true,
    () => false,
  )
  const needed = (process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('kind')
  if (!there && needed) throw new Error('DEVSTACK_ENGINES has kind, but there is no kubectl')
  if (!there)
    process.stderr.write('skipped: there is no kubectl (DEVSTACK_ENGINES=kind makes this a failure)\n')
  return there
}

const there = await kubectlIsThere()

describe.skipIf(!there)('kustomize', () => {
  let local: readonly Manifest[] = []
  let nodeport: readonly Manifest[] = []
  let base: readonly Manifest[] = []

  beforeAll(async () => {
    base = await render('kind/base')
    local = await render('kind/overlays/local')
    nodeport = await render('kind/overlays/nodeport')
  })

  function container(objects: readonly Manifest[], name: string): Container | undefined {
    return containersOf(objects).find((placed) => placed.container.name === name)?.container
  }

  const names = (objects: readonly Manifest[]): readonly string[] =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name.replace(/-[a-z0-9]{10}$/, '')}`)

  it('makes all of the shop, each object once, in no namespace', () => {
    expect(names(local)).toEqual([
      'ConfigMap shop',
      'Secret postgres',
      'Secret shop',
      'Service elasticsearch',
      'Service nginx',
      'Service postgres',
      'Service redis',
      'Service web',
      'Deployment shop',
      'Deployment web',
      'StatefulSet elasticsearch',
      'StatefulSet postgres',
      'StatefulSet redis',
      'Job migrate',
    ])
    expect(local.map(({ metadata }) => metadata.namespace)).toEqual(local.map(() => undefined))
    expect(local.map(({ metadata }) => metadata.labels?.['app.kubernetes.io/part-of'])).toEqual(
      local.map(() => 'shop'),
    )
  })

  it('leads every reference to an object that it makes', () => {
    const made = new Set(local.map(({ kind, metadata }) => `${kind} ${metadata.name}`))
    const wanted = containersOf(local).flatMap(({ container: { env = [], envFrom = [] } }) => [
      ...envFrom.flatMap(({ configMapRef, secretRef }) => [
        ...(configMapRef === undefined ? [] : [`ConfigMap ${configMapRef.name}`]),
        ...(secretRef === undefined ? [] : [`Secret ${secretRef.name}`]),
      ]),
      ...env.flatMap(({ valueFrom }) =>
        valueFrom?.secretKeyRef === undefined ? [] : [`Secret ${valueFrom.secretKeyRef.name}`],
      ),
    ])
    expect(wanted.length).toBe(7)
    for (const reference of wanted) expect(made).toContain(reference)
  })

  it('leaves Vite and the Secrets out of what production stands on', () => {
    const kinds = names(base)
    expect(kinds).not.toContain('Deployment web')
    expect(kinds.filter((name) => name.startsWith('Secret'))).toEqual([])
    for (const name of ['api', 'nginx', 'migrate', 'wait']) {
      expect(container(base, name)?.securityContext?.readOnlyRootFilesystem, name).toBe(true)
    }
    expect(container(base, 'api')?.livenessProbe).toBeDefined()
    expect(container(base, 'nginx')?.command).toBeUndefined()
  })

  it('lets a developer copy files in, hold a debugger and end at once', () => {
    for (const name of ['api', 'nginx']) {
      expect(container(local, name)?.securityContext?.readOnlyRootFilesystem, name).toBe(false)
      expect(container(local, name)?.lifecycle, name).toBeUndefined()
    }
    expect(container(local, 'api')?.livenessProbe).toBeUndefined()
    expect(container(local, 'api')?.readinessProbe).toBeDefined()
    expect(
      local.find(({ metadata, kind }) => kind === 'Deployment' && metadata.name === 'shop')?.spec?.replicas,
    ).toBe(1)
  })

  it('gives plain kubectl a namespace that refuses weaker pods, and a port of the node', () => {
    const namespace = nodeport.find(({ kind }) => kind === 'Namespace')
    expect(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('restricted')
    const inside = nodeport.filter(({ kind }) => kind !== 'Namespace')
    expect(names(inside)).toEqual(names(local))
    expect(inside.map(({ metadata }) => metadata.namespace)).toEqual(inside.map(() => 'shop'))
    const services = inside.filter(({ kind }) => kind === 'Service')
    expect(
      services.filter(({ spec }) => spec?.type === 'NodePort').map(({ metadata }) => metadata.name),
    ).toEqual(['nginx'])
    const nginx = services.find(({ metadata }) => metadata.name === 'nginx')
    expect(nginx?.spec?.ports).toEqual([{ name: 'http', nodePort: 30080, port: 8080, targetPort: 'http' }])
  })
})
