import { DevstackError } from '../../../core/error.js'
import type { KindCluster } from '../kube-ports.js'
import { readClusterConfig } from './config.js'
import { createCluster, deleteNodes, exportKubeconfig } from './create.js'
import { decideCluster } from './decide.js'
import type { Decision } from './decide.js'
import { proveOurs } from './guard.js'
import type { Proof } from './guard.js'
import { createNodeContainers } from './nodes.js'
import type { NodeContainer, NodeContainers } from './nodes.js'
import type { ClusterOptions, EnsureOptions } from './options.js'
import { endOrphans } from './orphans.js'
import { requireFreePorts } from './ports.js'
import { waitUntilReady, whyNotReady } from './ready.js'
import { placesOf, readRecord, withLock } from './state.js'
import type { ClusterPlaces } from './state.js'

/** A node that was stopped needs a minute; a loaded machine needs more. */
const READY_LIMIT_MS = 300_000
const USUAL_RESTART_S = 15

/**
 * The cluster, made, mended or found as it is: proven to be ours, and its API server answers. Two processes at once make one.
 * @throws DevstackError STATE_FOREIGN where a cluster of that name is not ours; IMAGE_UNAVAILABLE, PORT_TAKEN, CONFIG_INVALID,
 *   TIMEOUT, CONSENT_NEEDED where it would have to be made anew and `confirmLoss` said no
 */
export async function ensureCluster(options: EnsureOptions, signal: AbortSignal): Promise<KindCluster> {
  const places = placesOf(options.stateRoot, options.name)
  const found = await findRunning(options, places, signal)
  if (found !== null) return found
  const waiting = (): void => say(options, 'another devstack works on the cluster')
  return await withLock(places, waiting, signal, (signal) => mend(options, places, signal))
}

/** What nearly every call finds: nothing to do, and no lock to take for it. */
async function findRunning(
  options: EnsureOptions,
  places: ClusterPlaces,
  signal: AbortSignal,
): Promise<KindCluster | null> {
  const containers = createNodeContainers(options.docker)
  const record = await readRecord(places)
  if (record === null) return null
  const nodes = await containers.list(options.name, signal)
  if (decideCluster(record, nodes).action !== 'use') return null
  await exportKubeconfig(options, places, signal)
  const proof = await proveOurs({ name: options.name, places, containers }, signal)
  if ((await whyNotReady(proof.access, signal)) !== null) return null
  if (record.image !== options.image) {
    options.warn(
      `the cluster runs on the node image ${record.image}, and ${options.image} is wanted`,
      'devstack down --cluster --engine kind, then devstack up --engine kind makes it anew',
    )
  }
  return clusterOf(options, places, proof)
}

async function mend(
  options: EnsureOptions,
  places: ClusterPlaces,
  signal: AbortSignal,
): Promise<KindCluster> {
  const containers = createNodeContainers(options.docker)
  const record = await readRecord(places)
  if (record?.phase === 'making') await endOrphans(places.kubeconfig, signal)
  const decision = decideCluster(record, await containers.list(options.name, signal))
  await carryOut(decision, options, places, containers, signal)
  await exportKubeconfig(options, places, signal)
  const proof = await proveOurs({ name: options.name, places, containers }, signal)
  const tell = (elapsedMs: number, why: string): void => {
    const seconds = Math.round(elapsedMs / 1000)
    const usual = decision.action === 'start' ? ` of about ${String(USUAL_RESTART_S)} s` : ''
    // After a while it is no longer just coming up.
    const cause = seconds > 3 * USUAL_RESTART_S ? `: ${why.split('\n')[0] ?? ''}` : ''
    say(options, `waiting for the API server, ${String(seconds)} s${usual}${cause}`)
  }
  await waitUntilReady(proof.access, READY_LIMIT_MS, tell, signal)
  return clusterOf(options, places, proof)
}

async function carryOut(
  decision: Decision,
  options: EnsureOptions,
  places: ClusterPlaces,
  containers: NodeContainers,
  signal: AbortSignal,
): Promise<void> {
  switch (decision.action) {
    case 'use':
      return
    case 'refuse':
      throw foreign(options, decision.why)
    case 'start':
      await startNodes(decision.nodes, options, containers, signal)
      return
    case 'create':
      if (decision.note !== null) options.warn(`the cluster is made anew: ${decision.note}`, null)
      break
    case 'makeAnew':
      options.warn(`the cluster is made anew: ${decision.note}`, null)
      await deleteNodes(options, places)
      break
    case 'askAnew':
      if (!(await options.confirmLoss(decision.why))) throw lossRefused(decision.why)
      await deleteNodes(options, places)
      break
  }
  const config = await readClusterConfig(options.configFile)
  await requireFreePorts(config.ports, options.docker, options.portOwner, signal)
  await createCluster(options, config, places, signal)
}

/** The control plane first: the others ask it who they are. */
async function startNodes(
  nodes: readonly NodeContainer[],
  options: EnsureOptions,
  containers: NodeContainers,
  signal: AbortSignal,
): Promise<void> {
  const rank = ({ role }: NodeContainer): number => (role === 'worker' ? 1 : 0)
  for (const node of nodes.toSorted((a, b) => rank(a) - rank(b))) {
    say(options, `starting the node ${node.name}`)
    await containers.start(node, signal)
  }
}

function foreign({ name }: ClusterOptions, cause: string): DevstackError {
  return new DevstackError('STATE_FOREIGN', `the kind cluster ${name} is not ours, and is left alone`, {
    cause,
    hint: `if it is not needed: kind delete cluster --name ${name}`,
  })
}

function lossRefused(why: string): DevstackError {
  return new DevstackError('CONSENT_NEEDED', 'the cluster must be made anew', {
    cause: `${why}; what is in the cluster, volumes too, will be gone`,
    hint: 'devstack down --cluster --engine kind removes it',
  })
}

function clusterOf({ name }: ClusterOptions, { kubeconfig }: ClusterPlaces, proof: Proof): KindCluster {
  return { name, kubeconfig, nodes: proof.nodes.map((node) => node.name), access: proof.access }
}

function say(options: EnsureOptions, text: string): void {
  options.progress({ text, step: null, steps: null, percent: null, bytes: null, totalBytes: null })
}

/**
 * The cluster as it is, for what must not make or start one; null where there is none.
 * @throws DevstackError STATE_FOREIGN, ENGINE_NOT_RUNNING where its nodes stand still or its API server does not answer
 */
export async function findCluster(options: ClusterOptions, signal: AbortSignal): Promise<KindCluster | null> {
  const places = placesOf(options.stateRoot, options.name)
  const record = await readRecord(places)
  if (record === null) return null
  const containers = createNodeContainers(options.docker)
  const decision = decideCluster(record, await containers.list(options.name, signal))
  switch (decision.action) {
    case 'create':
    case 'makeAnew':
      return null
    case 'refuse':
      throw foreign(options, decision.why)
    case 'askAnew':
    case 'start': {
      const cause = decision.action === 'start' ? 'its nodes are stopped' : decision.why
      const hint = 'devstack up --engine kind'
      throw new DevstackError('ENGINE_NOT_RUNNING', 'the cluster does not run', { cause, hint })
    }
    case 'use': {
      await exportKubeconfig(options, places, signal)
      const proof = await proveOurs({ name: options.name, places, containers }, signal)
      const why = await whyNotReady(proof.access, signal)
      if (why === null) return clusterOf(options, places, proof)
      const hint = 'devstack up --engine kind waits for it'
      throw new DevstackError('ENGINE_NOT_RUNNING', 'the cluster does not answer', { cause: why, hint })
    }
  }
}
