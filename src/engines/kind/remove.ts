import { setTimeout as sleep } from 'node:timers/promises'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { readApplied } from './applied.js'
import type { Kube, KubeObject } from './kube-ports.js'
import type { KindContext } from './options.js'
import { KUBE_LABEL } from './pods.js'

const LOOK_MS = 200

/**
 * Deletes what carries the stack's label. With `volumes` the namespace too, and so all data; without, volume claims stay, and
 * the namespace as long as one is in it. The cluster stays.
 */
export async function remove(context: KindContext, volumes: boolean, run: ApplyContext): Promise<void> {
  const { signal } = run
  const connected = await context.connection.find(signal)
  if (connected === null) return
  const { kube } = connected
  const project = context.options.compose.projectName
  const path = `/api/v1/namespaces/${kube.namespace}`
  const namespace = await kube.get(path, signal)
  if (namespace?.metadata.labels?.[KUBE_LABEL.project] !== project) return
  if (volumes) {
    await removeNamespace(kube, path, namespace, signal)
    return
  }
  const applied = await readApplied(kube, project, null, signal)
  await Promise.all([...applied.values()].map((object) => removeObject(kube, object, signal)))
  const pods = { labelSelector: `${KUBE_LABEL.project}=${project}` }
  while ((await kube.list(`${path}/pods`, pods, signal)).items.length > 0)
    await sleep(LOOK_MS, undefined, { signal })
  const claims = await kube.list(`${path}/persistentvolumeclaims`, {}, signal)
  if (claims.items.length === 0) await removeNamespace(kube, path, namespace, signal)
}

async function removeObject(kube: Kube, object: KubeObject, signal: AbortSignal): Promise<void> {
  const { name, uid } = object.metadata
  const path = object.kind === 'PersistentVolumeClaim' ? null : await kube.path(object, name, signal)
  if (path === null) return
  await kube.delete(path, { propagation: 'Background', ...(uid === undefined ? {} : { uid }) }, signal)
}

async function removeNamespace(
  kube: Kube,
  path: string,
  { metadata }: KubeObject,
  signal: AbortSignal,
): Promise<void> {
  const { uid } = metadata
  await kube.delete(path, { propagation: 'Background', ...(uid === undefined ? {} : { uid }) }, signal)
  while ((await kube.get(path, signal)) !== null) await sleep(LOOK_MS, undefined, { signal })
}
