import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { docker, makePlace, type Place } from '../../e2e/support.ts'

const run = promisify(execFile)

/** Kubernetes ports of nodes are of the whole cluster, which is the benchmarks' own. */
const NODE_PORT = 30_080

/** One node and no port of this machine but the API server's: whatever else runs here, it can be made. */
export const CLUSTER_CONFIG = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  apiServerAddress: 127.0.0.1
nodes:
  - role: control-plane
`

/** The shop in a cluster of the benchmarks, with plain kubectl beside it in a namespace of its own. */
export interface KindShop {
  readonly place: Place
  readonly cluster: string
  readonly kubeconfig: string
  /** Of the stack that devstack brings up. */
  readonly namespace: string
  /** Its address, of the `up` before. */
  readonly address: URL
  devstack(...argv: readonly string[]): Promise<string>
  /** Brings the stack up. Returns what was printed. */
  up(): Promise<string>
  kubectl(...argv: readonly string[]): Promise<string>
  /** Ends the session; what runs in the cluster stays. */
  endSession(): Promise<void>
  readonly peer: Peer
}

/** The same manifests, applied by kubectl. */
export interface Peer {
  readonly namespace: string
  /** The kustomization: `kubectl apply -k`. */
  readonly folder: string
  readonly address: URL
  /** As one who has no devstack brings it up: apply, then wait for all. */
  up(): Promise<void>
  down(): Promise<void>
}

/** Its name for kind: one of their own for those who share an engine. */
export function clusterName(): string {
  return process.env['DEVSTACK_CLUSTER'] ?? 'devstack-bench'
}

/** The state of a cluster that is kept for the next run; null: it is made for this run, and removed. */
function keptState(): string | null {
  return process.env['DEVSTACK_CLUSTER'] === undefined ? null : (process.env['XDG_STATE_HOME'] ?? null)
}

let opening: Promise<KindShop> | null = null

/** All benchmarks of a run share it: making it takes most of their time. It is up. */
export function kindShop(): Promise<KindShop> {
  opening ??= openShop()
  return opening
}

/** Leaves nothing: cluster (where it is not kept), images, folder. */
export async function closeKindShop(): Promise<void> {
  const shop = await opening?.catch(() => null)
  opening = null
  if (shop === null || shop === undefined) return
  await shop.devstack('down', keptState() === null ? '--cluster' : '--volumes', '--yes')
  await shop.place[Symbol.asyncDispose]()
}

async function openShop(): Promise<KindShop> {
  const cluster = clusterName()
  const state = keptState()
  const place = await makePlace(
    {},
    {
      copies: ['compose', 'fixtures', 'kind', 'devstack.yaml'],
      env: { DEVSTACK_CLUSTER: cluster },
      ...(state === null ? {} : { state }),
    },
  )
  const config = (await place.read('devstack.yaml')).replace(/^name: .*$/m, `name: ${place.name}`)
  await place.write('devstack.yaml', `engine: kind\n${config}`)
  await place.write('kind/cluster.yaml', CLUSTER_CONFIG)
  const kubeconfig = join(place.env['XDG_STATE_HOME'] ?? '', 'devstack/kind', cluster, 'kubeconfig')
  const devstack = async (...argv: readonly string[]): Promise<string> => {
    const ended = await place.devstack(argv)
    if (ended.code !== 0) throw new Error(`devstack ${argv.join(' ')}:\n${ended.all}`)
    return ended.stdout
  }
  const kubectl = async (...argv: readonly string[]): Promise<string> => {
    const options = { env: { ...place.env, KUBECONFIG: '' }, maxBuffer: 64 * 1024 * 1024 }
    return (await run('kubectl', ['--kubeconfig', kubeconfig, ...argv], options)).stdout.trim()
  }
  let address = new URL('http://127.0.0.1')
  const up = async (): Promise<string> => {
    const text = await devstack('up', '--detach')
    address = addressIn(text)
    return text
  }
  await up()
  const peer = await makePeer(place, cluster, kubectl)
  return {
    place,
    cluster,
    kubeconfig,
    namespace: place.name,
    get address() {
      return address
    },
    devstack,
    up,
    kubectl,
    endSession: () => endSession(place),
    peer,
  }
}

/** The last address that `up` printed. */
function addressIn(text: string): URL {
  const found = text.match(/http:\/\/[\d.]+:\d+/g)?.at(-1)
  if (found === undefined) throw new Error(`up printed no address:\n${text}`)
  return new URL(found)
}

async function endSession(place: Place): Promise<void> {
  const pid = await place.sessionPid()
  if (pid === null) return
  process.kill(pid, 'SIGTERM')
  while (lives(pid)) await sleep(10)
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

type Kubectl = KindShop['kubectl']

/** An overlay over the same one, as kind/README.md tells for plain kubectl: its own namespace, the images that are on the node. */
async function makePeer(place: Place, cluster: string, kubectl: Kubectl): Promise<Peer> {
  const namespace = `${place.name}-peer`
  const folder = join(place.folder, 'kind/overlays/peer')
  await mkdir(folder, { recursive: true })
  const objects: Readonly<Record<string, string>> = {
    'kustomization.yaml': JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace,
      resources: ['../local', 'namespace.yaml'],
      images: await imagesOfNode(place, kubectl),
      patches: [{ path: 'nginx.yaml' }],
    }),
    'namespace.yaml': JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }),
    'nginx.yaml': JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'nginx' },
      spec: { type: 'NodePort', ports: [{ port: 8080, nodePort: NODE_PORT }] },
    }),
  }
  for (const [name, text] of Object.entries(objects)) await writeFile(join(folder, name), text)
  const node = `${cluster}-control-plane`
  const ip = (
    await docker('inspect', '--format', '{{.NetworkSettings.Networks.kind.IPAddress}}', node)
  ).trim()
  const inside = ['--namespace', namespace]
  const wait = async (condition: string, ...what: readonly string[]): Promise<void> => {
    await kubectl(...inside, 'wait', `--for=${condition}`, ...what, '--timeout=5m')
  }
  return {
    namespace,
    folder,
    address: new URL(`http://${ip}:${String(NODE_PORT)}`),
    async up() {
      await kubectl('apply', '-k', folder)
      await Promise.all([
        wait('condition=available', 'deployment', '--all'),
        wait('condition=complete', 'job', '--all'),
        wait('jsonpath={.status.readyReplicas}=1', 'statefulset', '--all'),
      ])
    },
    async down() {
      await kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--wait=true')
    },
  }
}

interface KustomizeImage {
  readonly name: string
  readonly newName: string
  readonly newTag: string
}

/** What the manifests call an image -> what devstack has sent into the node for it, by the containers of both. */
async function imagesOfNode(place: Place, kubectl: Kubectl): Promise<readonly KustomizeImage[]> {
  const { stdout } = await run('kubectl', ['kustomize', join(place.folder, 'kind/overlays/local')])
  const sent = new Map<string, string>()
  const containers = '{range .items[*].spec.containers[*]}{.name}={.image}{"\\n"}{end}'
  const pods = await kubectl('--namespace', place.name, 'get', 'pods', '--output', `jsonpath=${containers}`)
  for (const line of pods.split('\n')) {
    const [name = '', image = ''] = line.split('=')
    sent.set(name, image)
  }
  const images = new Map<string, KustomizeImage>()
  for (const document of parseAllDocuments(stdout)) {
    const written = document.toJS() as { readonly spec?: { readonly template?: Template } }
    for (const { name, image } of written.spec?.template?.spec.containers ?? []) {
      const [, newName, newTag] = /^(.*):([^:]*)$/.exec(sent.get(name) ?? '') ?? []
      const known = image.replace(/:[^/:]*$/, '')
      if (newName !== undefined && newTag !== undefined && !images.has(known))
        images.set(known, { name: known, newName, newTag })
    }
  }
  return [...images.values()]
}

interface Template {
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] }
}

/** Milliseconds from `begin` until the address answers 200 to what asks every store. */
export async function untilHealthy(address: () => URL | null, begin: number): Promise<number> {
  for (;;) {
    const url = address()
    if (url !== null && (await answers200(new URL('/api/health', url)))) return performance.now() - begin
    if (performance.now() - begin > 300_000) throw new Error('the shop did not get ready')
    await sleep(50)
  }
}

function answers200(url: URL): Promise<boolean> {
  return new Promise((resolve) => {
    get(url, { timeout: 1000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}

/** Which version of what is there, but for what changes by itself. */
export async function versions(shop: KindShop, namespace: string): Promise<ReadonlyMap<string, string>> {
  const kinds = 'all,configmaps,secrets,persistentvolumeclaims,serviceaccounts,endpointslices'
  const range = '{range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion}{"\\n"}{end}'
  const text = await shop.kubectl('--namespace', namespace, 'get', kinds, '--output', `jsonpath=${range}`)
  return new Map(text.split('\n').map((line) => line.split('=') as [string, string]))
}

/** How many objects are not as they were, gone or new. */
export function changed(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter((name) => before.get(name) !== after.get(name)).length
}
