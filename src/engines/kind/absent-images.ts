import type { Workload } from '../../core/kubernetes.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { isAlive } from './instances.js'
import type { KindContext } from './options.js'
import { KUBE_LABEL } from './pods.js'
import type { Pod } from './pods.js'
import type { KindResolved } from './resolve.js'

/** Of the kubelet, which asks nobody for an image that is sent to it, or asked in vain. */
const ABSENT: ReadonlySet<string> = new Set(['ErrImageNeverPull', 'ErrImagePull', 'ImagePullBackOff'])

/**
 * Brings images again that went from the nodes behind our back: the objects are as they should be, so nothing else would. Their
 * pods are made anew, since the kubelet tries again after minutes only. Resolves with the uids of those that were deleted.
 */
export async function bringAbsentImages(
  context: KindContext,
  { wanted }: KindResolved,
  workload: Workload,
  run: ApplyContext,
): Promise<ReadonlySet<string>> {
  const { cluster, feed, kube } = await context.connection.get(run.signal)
  const pods = (await feed.list(run.signal)).filter(
    (pod) => pod.metadata.labels?.[KUBE_LABEL.workload] === workload.label && isAlive(pod) && lacksImage(pod),
  )
  const named = new Set(pods.flatMap(imagesOf))
  const images = wanted.images.filter(({ node }) => named.has(node))
  if (images.length === 0) return new Set()
  await context.supply.bring({ cluster, images, progress: run.progress }, run.signal)
  // Nobody would make a pod anew that stands by itself.
  const owned = pods.filter(({ metadata }) => (metadata.ownerReferences ?? []).length > 0)
  await Promise.all(
    owned.map(async ({ metadata: { name, uid } }) => {
      const path = `/api/v1/namespaces/${kube.namespace}/pods/${name}`
      const options = { propagation: 'Background', ...(uid === undefined ? {} : { uid }) } as const
      await kube.delete(path, options, run.signal)
    }),
  )
  return new Set(owned.flatMap(({ metadata: { uid } }) => uid ?? []))
}

function lacksImage({ status }: Pod): boolean {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  return all.some(({ state }) => ABSENT.has(state?.waiting?.reason ?? ''))
}

function imagesOf({ spec }: Pod): readonly string[] {
  return [...(spec.initContainers ?? []), ...spec.containers].map(({ image }) => image)
}
