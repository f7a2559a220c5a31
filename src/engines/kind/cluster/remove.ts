import { rm } from 'node:fs/promises'
import { DevstackError } from '../../../core/error.js'
import { createKube } from '../kube/kube.js'
import { KUBE_ANNOTATION, KUBE_LABEL } from '../pods.js'
import { deleteNodes, exportKubeconfig, removeNetwork } from './create.js'
import { decideCluster } from './decide.js'
import { proveOurs } from './guard.js'
import { createNodeContainers } from './nodes.js'
import type { ClusterOptions } from './options.js'
import { endOrphans } from './orphans.js'
import { waitUntilReady } from './ready.js'
import { placesOf, readRecord, withLock } from './state.js'
import type { ClusterPlaces } from './state.js'

export interface RemoveOptions extends ClusterOptions {
  /** Of the stack that goes with it; every other one of ours keeps the cluster. */
  readonly namespace: string
  /** Whatever lives in it, and where it cannot be asked. */
  readonly force: boolean
  readonly say: (text: string) => void
}

const READY_LIMIT_MS = 120_000

/**
 * Removes the cluster with all that came with it: containers, volumes, network, kubeconfig. False where there was none.
 * @throws DevstackError OPERATION_FAILED where another stack lives in it, STATE_FOREIGN where it is not ours
 */
export async function removeCluster(options: RemoveOptions, signal: AbortSignal): Promise<boolean> {
  const places = placesOf(options.stateRoot, options.name)
  const waiting = (): void => options.say('another devstack works on the cluster')
  return await withLock(places, waiting, signal, async (signal) => {
    const record = await readRecord(places)
    if (record?.phase === 'making') await endOrphans(places.kubeconfig, signal)
    const nodes = await createNodeContainers(options.docker).list(options.name, signal)
    const decision = decideCluster(record, nodes)
    if (decision.action === 'refuse') {
      throw new DevstackError(
        'STATE_FOREIGN',
        `the kind cluster ${options.name} is not ours, and is left alone`,
        {
          cause: decision.why,
          hint: `if it is not needed: kind delete cluster --name ${options.name}`,
        },
      )
    }
    // Without a control plane there is nobody to ask, and nothing left to lose.
    const mayHoldOthers = nodes.some(({ role }) => role === 'control-plane') && decision.action !== 'makeAnew'
    if (mayHoldOthers && !options.force) await refuseOthers(options, places, signal)
    await deleteNodes(options, places)
    if (record !== null) await removeNetwork(options, record, signal)
    await rm(places.folder, { recursive: true, force: true })
    return record !== null || nodes.length > 0
  })
}

/** Stopped nodes are started for it: what lives in them only they know. */
async function refuseOthers(
  options: RemoveOptions,
  places: ClusterPlaces,
  signal: AbortSignal,
): Promise<void> {
  const containers = createNodeContainers(options.docker)
  for (const node of await containers.list(options.name, signal)) {
    if (node.state === 'running') continue
    options.say(`starting the node ${node.name} to see what lives in it`)
    await containers.start(node, signal)
  }
  await exportKubeconfig(options, places, signal)
  const proof = await proveOurs({ name: options.name, places, containers }, signal)
  await waitUntilReady(proof.access, READY_LIMIT_MS, () => options.say('waiting for the API server'), signal)
  const kube = createKube({ access: proof.access, namespace: options.namespace })
  const query = { labelSelector: `${KUBE_LABEL.managedBy}=devstack` }
  const { items } = await kube.list('/api/v1/namespaces', query, signal)
  const others = items.filter(
    ({ metadata }) => metadata.name !== options.namespace && metadata.deletionTimestamp === undefined,
  )
  if (others.length === 0) return
  const names = others.map(({ metadata }) => {
    const worktree = metadata.annotations?.[KUBE_ANNOTATION.worktree]
    return worktree === undefined ? metadata.name : `${metadata.name} (${worktree})`
  })
  throw new DevstackError('OPERATION_FAILED', 'not removing the cluster: another stack lives in it', {
    cause: names.join(', '),
    hint: 'devstack down --engine kind there first',
  })
}
