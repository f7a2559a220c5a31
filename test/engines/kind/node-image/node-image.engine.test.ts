import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeNodeImage, ensureNodeImage } from '../../../../src/engines/kind/node-image/node-image.js'
import { ENDPOINT } from '../../../contract/compose-there.js'

const execute = promisify(execFile)
const ROOT = new URL('../../../../', import.meta.url).pathname
const NAME = `ds-node-${randomBytes(3).toString('hex')}`
const NODE = `${NAME}-control-plane`
// To make a cluster takes half a minute, and the image some: only where this was asked for.
const asked = (process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('kind')
const signal = AbortSignal.timeout(20 * 60_000)

/** Made of what is inside the image: CoreDNS answers `OK` over HTTP. Not as root, so that a volume must fit its group. */
const MANIFESTS = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 10Mi } } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web }
data:
  Corefile: |
    .:1053 {
      health :8080
      ready :8181
    }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 }
      containers:
        - name: web
          image: registry.k8s.io/coredns/coredns:v1.12.1
          imagePullPolicy: Never
          args: [-conf, /etc/coredns/Corefile]
          readinessProbe: { httpGet: { path: /ready, port: 8181 }, periodSeconds: 1 }
          volumeMounts:
            - { name: config, mountPath: /etc/coredns }
            - { name: data, mountPath: /data }
      volumes:
        - { name: config, configMap: { name: web } }
        - { name: data, persistentVolumeClaim: { claimName: data } }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`

let folder: string
let kubeconfig: string

async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, { env: { ...process.env, KUBECONFIG: kubeconfig } })
  return stdout.trim()
}

async function inNode(script: string): Promise<string> {
  return await run('docker', 'exec', NODE, 'sh', '-c', script)
}

/** What the service says to a program that asks the cluster's own DNS for it. */
async function askService(): Promise<string> {
  const address = await run(
    'kubectl',
    '-n',
    'kube-system',
    'get',
    'service',
    'kube-dns',
    '-o',
    'jsonpath={.spec.clusterIP}',
  )
  return await inNode(
    `echo nameserver ${address} >/run/test-resolv && unshare --mount sh -c ` +
      `'mount --bind /run/test-resolv /etc/resolv.conf && curl -sS -m 5 http://web.default.svc.cluster.local/health'`,
  )
}

async function eventually(what: () => Promise<void>): Promise<void> {
  await expect.poll(() => what().then(() => 'done', String), { timeout: 180_000, interval: 500 }).toBe('done')
}

if (!asked) process.stderr.write('skipped: a cluster is made only where DEVSTACK_ENGINES names kind\n')

describe.skipIf(!asked)('the node image that is built here', () => {
  const options = {
    env: process.env,
    endpoint: ENDPOINT,
    kindFolder: join(ROOT, 'kind'),
    recipesFolder: join(ROOT, 'compose/images'),
    source: 'local',
  } as const

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ds-node-test-'))
    kubeconfig = join(folder, 'kubeconfig')
    const { ref, saved } = await ensureNodeImage({ ...options, progress: () => undefined }, signal)
    await saved
    const where = ['--name', NAME, '--kubeconfig', kubeconfig]
    await run('kind', 'create', 'cluster', ...where, '--image', ref, '--wait', '180s')
    await writeFile(join(folder, 'web.yaml'), MANIFESTS)
  })

  afterAll(async () => {
    await run('kind', 'delete', 'cluster', '--name', NAME, '--kubeconfig', kubeconfig)
    await rm(folder, { recursive: true })
  })

  test('is described, with its sizes in the engine and in the cache', async () => {
    const told = await describeNodeImage(options, signal)
    expect(told).toMatchObject({ origin: 'built', present: true, kubernetes: '1.34.4' })
    expect(told.bytes).toBeGreaterThan(100e6)
    expect(told.cachedBytes).toBeGreaterThan(50e6)
  })

  test('makes a cluster with plain kind, whose node is ready and runs what it says', async () => {
    const [ready, version] = (
      await run(
        'kubectl',
        'get',
        'nodes',
        '-o',
        'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status} {.items[0].status.nodeInfo.kubeletVersion}',
      )
    ).split(' ')
    expect({ ready, version }).toEqual({ ready: 'True', version: 'v1.34.4' })
  })

  test('tells kind which images it has', async () => {
    const text = await inNode('crictl inspecti registry.k8s.io/pause:3.10.1')
    const { status } = JSON.parse(text) as { status: { id: string; repoTags: string[]; pinned: boolean } }
    expect(status).toMatchObject({ repoTags: ['registry.k8s.io/pause:3.10.1'], pinned: true })
    expect(status.id).toMatch(/^sha256:[0-9a-f]{64}$/)
    await expect(inNode('crictl inspecti nowhere:1')).rejects.toThrow('no such image')
  })

  test('reaches a service by its name', async () => {
    await run('kubectl', 'apply', '-f', join(folder, 'web.yaml'))
    await run('kubectl', 'rollout', 'status', 'deployment/web', '--timeout=120s')
    // Its rules come a moment after its pod is ready; until then it is refused.
    await eventually(async () => {
      expect(await askService()).toBe('OK')
    })
  })

  test('refuses what is sent to a service that is not there, instead of letting it out', async () => {
    // 7: refused; 28 would be a silence.
    await expect(inNode('curl -sS -m 5 http://10.96.254.254/')).rejects.toThrow('curl: (7)')
  })

  test('gives a volume to the group of the pod, and removes it with its claim', async () => {
    const volume = await run(
      'kubectl',
      'get',
      'persistentvolumeclaim',
      'data',
      '-o',
      'jsonpath={.spec.volumeName}',
    )
    expect(await inNode(`stat -c '%g %a' /var/local/volumes/${volume}`)).toBe('1000 2777')
    await inNode(`echo kept >/var/local/volumes/${volume}/file`)
    await run('docker', 'restart', NODE)
    await eventually(async () => {
      if ((await askService()) !== 'OK') throw new Error('no answer')
    })
    expect(await inNode(`cat /var/local/volumes/${volume}/file`)).toBe('kept')
    await run('kubectl', 'delete', '-f', join(folder, 'web.yaml'))
    await eventually(async () => {
      expect(await run('kubectl', 'get', 'persistentvolumes', '-o', 'name')).toBe('')
    })
    expect(await inNode('ls /var/local/volumes')).toBe('')
  })
})
