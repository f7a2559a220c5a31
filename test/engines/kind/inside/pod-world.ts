import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { readKindConfig } from '../../../../src/engines/kind/cluster/kubeconfig.js'
import { createInside } from '../../../../src/engines/kind/inside/inside.js'
import type { Inside } from '../../../../src/engines/kind/inside/inside.js'
import type { InsideTarget } from '../../../../src/engines/kind/inside/target.js'
import { certificateAccess } from '../../../../src/engines/kind/kube/access.js'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import type { Pod } from '../../../../src/engines/kind/pods.js'
import { eventually } from '../../../contract/eventually.js'
import { baseImage } from './base-image.js'
import { AGENT } from './local-agent.js'

const run = promisify(execFile)

/** A cluster that the tests may use. */
export interface TestCluster {
  readonly name: string
  readonly kubeconfig: string
}

/** A namespace of a real cluster, and what it takes to work inside of its pods. */
export interface PodWorld {
  readonly inside: Inside
  /** With an image that no node has. */
  readonly without: Inside
  readonly kubectl: (...argv: readonly string[]) => Promise<string>
  readonly apply: (...objects: readonly unknown[]) => Promise<void>
  /** The container as it runs now: once it does. */
  readonly target: (pod: string, container?: string) => Promise<InsideTarget>
  readonly pod: (name: string) => Promise<Pod>
  readonly dispose: () => Promise<void>
}

export async function openPods(cluster: TestCluster, images: readonly string[]): Promise<PodWorld> {
  for (const image of images) await load(cluster.name, image)
  const namespace = `ds-in-${randomBytes(4).toString('hex')}`
  const kubectl = async (...argv: readonly string[]): Promise<string> =>
    (
      await run('kubectl', ['--kubeconfig', cluster.kubeconfig, '--namespace', namespace, ...argv])
    ).stdout.trim()
  await kubectl('create', 'namespace', namespace)
  const access = certificateAccess(readKindConfig(await readFile(cluster.kubeconfig, 'utf8'), cluster.name))
  const kube = createKube({ access, namespace })
  const base = await baseImage()
  const open = (reference: string): Inside =>
    createInside({ kube, image: { reference, pullPolicy: 'Never' }, agentFolder: AGENT })
  const [inside, without] = [open(base), open('devstack/none:none')]
  const pod = async (name: string): Promise<Pod> =>
    JSON.parse(await kubectl('get', 'pod', name, '--output', 'json')) as Pod
  return {
    inside,
    without,
    kubectl,
    pod,
    apply: async (...objects) => {
      const child = spawn('kubectl', [
        '--kubeconfig',
        cluster.kubeconfig,
        '--namespace',
        namespace,
        'apply',
        '--filename',
        '-',
      ])
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      child.stdin.end(objects.map((object) => stringify(object)).join('---\n'))
      const code = await new Promise((resolve) => child.once('close', resolve))
      if (code !== 0) throw new Error(said)
    },
    target: async (name, container = 'app') =>
      await once(async () => {
        const { metadata, status } = await pod(name)
        const found = status?.containerStatuses?.find((one) => one.name === container)
        if (found?.state?.running === undefined)
          throw new Error(`${name} does not run: ${JSON.stringify(found?.state)}`)
        return {
          pod: name,
          uid: metadata.uid ?? '',
          container,
          restartCount: found.restartCount,
          service: container,
        }
      }),
    dispose: async () => {
      inside.close()
      without.close()
      await kubectl('delete', 'namespace', namespace, '--wait=false')
    },
  }
}

/** Into the node's own store, as `kind load` does it. */
async function load(cluster: string, image: string): Promise<void> {
  const save = spawn('docker', ['save', image])
  const node = `${cluster}-control-plane`
  const load = spawn('docker', [
    'exec',
    '--interactive',
    node,
    'ctr',
    '--namespace=k8s.io',
    'images',
    'import',
    '-',
  ])
  save.stdout.pipe(load.stdin)
  const code = await new Promise((resolve) => load.once('close', resolve))
  if (code !== 0) throw new Error(`${image} could not be loaded into ${node}`)
}

/** What `read` answers once it does not throw. */
export async function once<T>(read: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  let found: { readonly value: T } | null = null
  await eventually(async () => {
    found = { value: await read() }
  }, timeoutMs)
  return (found as unknown as { readonly value: T }).value
}
