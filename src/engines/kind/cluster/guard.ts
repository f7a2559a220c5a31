import { createHash } from 'node:crypto'
import { DevstackError } from '../../../core/error.js'
import { certificateAccess } from '../kube/access.js'
import type { KubeAccess, KubeIdentity } from '../kube/access.js'
import { readKindConfig, UnlikeKind } from './kubeconfig.js'
import type { NodeContainer, NodeContainers } from './nodes.js'
import { readOwn, writeOwn } from './state.js'
import type { ClusterPlaces } from './state.js'

export interface ProofRequest {
  /** For kind: `devstack`. */
  readonly name: string
  readonly places: ClusterPlaces
  readonly containers: NodeContainers
}

/** A cluster that was proven to be ours. */
export interface Proof {
  readonly access: KubeAccess
  readonly nodes: readonly NodeContainer[]
}

/** Where kubeadm keeps it in a node. */
const CA_FILE = '/etc/kubernetes/pki/ca.crt'

/**
 * Proves that our kubeconfig leads to the cluster of this name on this machine: before any request is sent, and with no
 * connection made. What was read and checked is what is used afterwards; the file is not read again.
 * @throws DevstackError STATE_FOREIGN with what is wrong
 */
export async function proveOurs(
  { name, places, containers }: ProofRequest,
  signal: AbortSignal,
): Promise<Proof> {
  const identity = await readIdentity(name, places)
  const nodes = await containers.list(name, signal)
  checkServer(name, identity, nodes, places)
  await checkAuthority(name, identity, nodes, places, containers, signal)
  return { access: certificateAccess(identity), nodes }
}

async function readIdentity(name: string, places: ClusterPlaces): Promise<KubeIdentity> {
  const { kubeconfig } = places
  const found = await readOwn(kubeconfig)
  if (found === null) throw refused(places, name, `${kubeconfig} is not there`)
  if ('refused' in found) throw refused(places, name, found.refused)
  try {
    return readKindConfig(found.text, name)
  } catch (error) {
    if (error instanceof UnlikeKind)
      throw refused(places, name, `${kubeconfig} is not kind's: ${error.message}`)
    throw error
  }
}

/** The address must be what a node of this cluster publishes now: a port changes hands. */
function checkServer(
  name: string,
  { server }: KubeIdentity,
  nodes: readonly NodeContainer[],
  places: ClusterPlaces,
): void {
  if (nodes.length === 0) throw refused(places, name, 'it has no node container in this engine')
  const { hostname, port } = new URL(server)
  const host = hostname.replace(/^\[|\]$/g, '')
  const publishes = nodes.some(
    ({ api, role }) => role !== 'worker' && api?.host === host && api.port === Number(port),
  )
  if (!publishes)
    throw refused(places, name, `none of its node containers publishes its API server at ${server}`)
}

/**
 * The authority that the server will have to prove must be the one in the node. A container's never changes, so that of each
 * is read once.
 */
async function checkAuthority(
  name: string,
  { ca }: KubeIdentity,
  nodes: readonly NodeContainer[],
  places: ClusterPlaces,
  containers: NodeContainers,
  signal: AbortSignal,
): Promise<void> {
  const node = nodes.find(({ role }) => role === 'control-plane')
  if (node === undefined) throw refused(places, name, 'none of its node containers is a control plane')
  const expected = digest(ca)
  const proven = await readProven(places)
  if (proven[node.id] === expected) return
  const inside = await containers.readFile(node.id, CA_FILE, signal)
  if (inside === null) throw refused(places, name, `${node.name} has no ${CA_FILE}`)
  if (digest(inside) !== expected)
    throw refused(places, name, `the authority in the kubeconfig is not that of ${node.name}`)
  await writeOwn(places.proven, `${JSON.stringify({ [node.id]: expected })}\n`)
}

async function readProven({ proven }: ClusterPlaces): Promise<Readonly<Record<string, unknown>>> {
  const found = await readOwn(proven)
  if (found === null || 'refused' in found) return {}
  try {
    return { ...(JSON.parse(found.text) as object) }
  } catch {
    return {}
  }
}

/** Of a certificate's text, however it is broken into lines. */
function digest(pem: string): string {
  return createHash('sha256').update(pem.replace(/\s+/g, '')).digest('hex')
}

function refused({ kubeconfig }: ClusterPlaces, name: string, cause: string): DevstackError {
  return new DevstackError(
    'STATE_FOREIGN',
    `not talking to the cluster ${name}: it is not proven to be ours`,
    {
      cause,
      hint: `nothing was sent; remove ${kubeconfig}, and the next devstack up --engine kind gets it anew from the node`,
    },
  )
}
