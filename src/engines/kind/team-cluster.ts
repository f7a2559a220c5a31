import type { Cluster } from './kube-ports.js'
import { contextAccess } from './kube/context-access.js'
import type { ContextRequest } from './kube/context-access.js'
import { createKube } from './kube/kube.js'
import { isOwnNamespace, requireOwnNamespace } from './objects/namespace.js'
import type { NamespaceOwner } from './objects/namespace.js'

export interface TeamClusterRequest extends ContextRequest, NamespaceOwner {
  readonly namespace: string
}

/**
 * A cluster that somebody else runs, for `engine: kubernetes`. The context must be there and lead to the server that devstack.yaml
 * names: else nothing is sent. The one question that is asked is whose the stack's namespace is.
 * @throws DevstackError CONFIG_INVALID; STATE_FOREIGN where the namespace is there and was not made for this stack; ENGINE_GONE
 */
export async function openTeamCluster(request: TeamClusterRequest, signal: AbortSignal): Promise<Cluster> {
  signal.throwIfAborted()
  const access = await contextAccess(request)
  const kube = createKube({ access, namespace: request.namespace })
  const namespace = await kube.get(`/api/v1/namespaces/${encodeURIComponent(request.namespace)}`, signal)
  if (namespace !== null && !isOwnNamespace(namespace, request))
    requireOwnNamespace(namespace, request, (await request.at?.('namespace')) ?? null)
  return { name: request.context, access, nodes: [] }
}
