import { setTimeout as sleep } from 'node:timers/promises'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { readApplied } from './applied.js'
import type { Kube, KubeObject } from './kube-ports.js'
import { isOwnNamespace } from './objects/namespace.js'
import type { KindContext } from './options.js'
import { KUBE_LABEL } from './pods.js'

const LOOK_MS = 200

/**
 * Deletes what carries the stack's label. With `volumes` the namespace too, and so all data; without, volume claims stay, and
 * the namespace as long as one is in it. In a cluster that is not ours the namespace also stays where somebody else uses it. The
 * cluster stays.
 */
export async function remove(context: KindContext, volumes: boolean, run: ApplyContext): Promise<void> {
  const { signal } = run
  const connected = await context.connection.find(signal)
  if (connected === null) return
  const { kube } = connected
  const { compose, owner } = context.options
  const project = compose.projectName
  const path = `/api/v1/namespaces/${kube.namespace}`
  const namespace = await kube.get(path, signal)
  if (namespace === null || !isOwnNamespace(namespace, { project, owner })) return
  if (volumes && owner === null) {
    await removeNamespace(kube, path, namespace, signal)
    return
  }
  const applied = await readApplied(kube, project, null, signal)
  await Promise.all([...applied.values()].map((object) => removeObject(kube, object, signal)))
  const pods = { labelSelector: `${KUBE_LABEL.project}=${project}` }
  while ((await kube.list(`${path}/pods`, pods, signal)).items.length > 0)
    await sleep(LOOK_MS, undefined, { signal })
  if (volumes) await removeClaims(kube, path, project, signal)
  const claims = await kube.list(`${path}/persistentvolumeclaims`, {}, signal)
  if (claims.items.length > 0 && !volumes) return
  const others = owner === null ? [] : await othersIn(kube, project, signal)
  if (others.length === 0) await removeNamespace(kube, path, namespace, signal)
  else tellOthers(namespace, others, run)
}

async function removeClaims(kube: Kube, path: string, project: string, signal: AbortSignal): Promise<void> {
  const claims = `${path}/persistentvolumeclaims`
  const { items } = await kube.list(claims, { labelSelector: `${KUBE_LABEL.project}=${project}` }, signal)
  await Promise.all(
    items.map(({ metadata }) =>
      kube.delete(`${claims}/${metadata.name}`, { propagation: 'Background' }, signal),
    ),
  )
}

/** What somebody works with: a cluster puts other things into every namespace by itself. */
const OTHERS: readonly { readonly apiVersion: string; readonly kind: string }[] = [
  { apiVersion: 'v1', kind: 'Pod' },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'batch/v1', kind: 'Job' },
  { apiVersion: 'batch/v1', kind: 'CronJob' },
]

/** What somebody else put into the namespace that was made for the stack: it would go with it. */
async function othersIn(kube: Kube, project: string, signal: AbortSignal): Promise<readonly string[]> {
  const labelSelector = `${KUBE_LABEL.project}!=${project}`
  const found = await Promise.all(
    OTHERS.map(async (type) => {
      const path = await kube.path(type, null, signal)
      return path === null ? [] : (await kube.list(path, { labelSelector }, signal)).items
    }),
  )
  const own = found.flat().filter(({ metadata }) => (metadata.ownerReferences ?? []).length === 0)
  return own.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
}

function tellOthers({ metadata }: KubeObject, others: readonly string[], { emit }: ApplyContext): void {
  const some = others.length > 3 ? `${others.slice(0, 3).join(', ')} and more` : others.join(', ')
  emit({
    type: 'warned',
    message: `the namespace ${metadata.name} stays: ${some} in it is not of this stack`,
    hint: 'when nobody needs it: kubectl delete namespace',
    place: null,
  })
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
