import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeContainer, NodeContainers } from '../../../../src/engines/kind/cluster/nodes.js'
import { placesOf } from '../../../../src/engines/kind/cluster/state.js'
import type { KubeIdentity } from '../../../../src/engines/kind/kube/access.js'

/** The node containers of an engine, as a test puts them. */
export class FakeNodes implements NodeContainers {
  nodes: NodeContainer[] = []
  /** By container id: the text of its authority's certificate. */
  readonly authorities = new Map<string, string>()
  /** How often a file was read in one. */
  reads = 0

  list(): Promise<readonly NodeContainer[]> {
    return Promise.resolve(this.nodes)
  }

  readFile(id: string): Promise<string | null> {
    this.reads++
    return Promise.resolve(this.authorities.get(id) ?? null)
  }

  start(): Promise<void> {
    return Promise.resolve()
  }
}

export const node = (more: Partial<NodeContainer> = {}): NodeContainer => ({
  id: 'c0ffee',
  name: 'devstack-control-plane',
  role: 'control-plane',
  state: 'running',
  createdAt: 1_000_000,
  api: null,
  ...more,
})

/** A state folder with a kubeconfig in it. */
export class ClusterFolder implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'devstack-cluster-'))
  readonly places = placesOf(this.root, 'devstack')

  constructor() {
    mkdirSync(this.places.folder, { recursive: true, mode: 0o700 })
  }

  writeConfig(config: unknown, mode = 0o600): void {
    writeFileSync(this.places.kubeconfig, typeof config === 'string' ? config : JSON.stringify(config), {
      mode,
    })
    chmodSync(this.places.kubeconfig, mode)
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}

const encode = (text: string): string => Buffer.from(text).toString('base64')

/** As kind writes it; YAML reads JSON. */
export function kindConfig({ server, ca, cert, key }: KubeIdentity, name = 'kind-devstack') {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    preferences: {},
    clusters: [{ name, cluster: { server, 'certificate-authority-data': encode(ca) } }],
    users: [{ name, user: { 'client-certificate-data': encode(cert), 'client-key-data': encode(key) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
}
