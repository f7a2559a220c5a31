import type { InstanceUsage } from '../../orchestrator/ports.js'
import type { Kube } from './kube-ports.js'
import type { PodFeed } from './pod-feed.js'
import { parseInstanceId } from './pods.js'

/** What a kubelet tells of its pods, as far as it is read. */
interface Summary {
  readonly pods?: readonly {
    readonly podRef: { readonly uid: string }
    readonly containers?: readonly {
      readonly name: string
      readonly cpu?: { readonly usageNanoCores?: number }
      readonly memory?: { readonly workingSetBytes?: number }
    }[]
  }[]
}

/** Asks the kubelets of the nodes that the pods are on; a node that does not answer costs its figures only. */
export async function readUsage(
  kube: Kube,
  feed: PodFeed,
  instances: readonly string[],
  signal: AbortSignal,
): Promise<readonly InstanceUsage[]> {
  const pods = await feed.list(signal)
  const nodes = new Set(pods.flatMap(({ spec }) => spec.nodeName ?? []))
  const summaries = await Promise.all(
    [...nodes].map(async (node) =>
      kube
        .get<Summary>(`/api/v1/nodes/${encodeURIComponent(node)}/proxy/stats/summary`, signal)
        .catch(() => null),
    ),
  )
  const told = summaries.flatMap((summary) => summary?.pods ?? [])
  return instances.map((instance) => {
    const ref = parseInstanceId(instance)
    const pod = told.find(({ podRef }) => podRef.uid === ref?.uid)
    const container = pod?.containers?.find(({ name }) => name === ref?.container)
    const nano = container?.cpu?.usageNanoCores
    return {
      instance,
      cpu: nano === undefined ? null : nano / 1e9,
      memoryBytes: container?.memory?.workingSetBytes ?? null,
    }
  })
}
