import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import type { Problem } from '../../core/error.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { compareApplied, keyOf, readApplied } from './applied.js'
import type { Difference } from './applied.js'
import { desire } from './desired.js'
import type { SuppliedImage } from './images/supply.js'
import type { Kube, KubeObject } from './kube-ports.js'
import { namespaceObject, requireOwnNamespace } from './objects/namespace.js'
import type { NamespaceOwner } from './objects/namespace.js'
import type { DesiredObject } from './objects/to-apply.js'
import { STAGES } from './objects/order.js'
import type { KindContext } from './options.js'
import { refusalProblems } from './refusals.js'
import { isOf } from './resolve.js'
import type { KindResolved } from './resolve.js'

/**
 * Makes the cluster have what the manifests say: images on the nodes, then objects that differ, then what is left over goes.
 * A service that needs another one is there without pods until it is started.
 * @throws DevstackError CONFIG_INVALID with the place of everything that the API server refuses
 */
export async function create(
  context: KindContext,
  resolved: KindResolved,
  services: readonly string[],
  run: ApplyContext,
  starting = false,
): Promise<void> {
  const { signal } = run
  const { kube, cluster } = await context.connection.get(signal)
  // The images are there by now.
  resolved.wanted = await desire(context, resolved.stack, signal)
  const images = imagesFor(resolved, services)
  const { supply, options } = context
  const own = { project: options.compose.projectName, owner: options.owner }
  const namespace = namespaceObject(resolved.stack.objects, {
    ...resolved.wanted.decisions,
    owner: own.owner,
  })
  await ensureNamespace(kube, namespace, own, signal)
  const brought = await supply.bring({ cluster, images, progress: run.progress }, signal)
  // A registry has names of its own for what it was given.
  if (brought.renamed) resolved.wanted = await desire(context, resolved.stack, signal)
  const { desired } = resolved.wanted
  const applied = await readApplied(kube, own.project, desired, signal)
  const difference = about(compareApplied(desired, applied), services)
  await checkFirst(kube, difference, resolved, signal)
  run.progress({ ...NO_COUNT, text: `applying ${String(difference.changed.length)} objects` })
  await deleteAll(kube, difference.remade, signal)
  const later = new Set(starting ? [] : waiting(resolved, services))
  for (const stage of STAGES) {
    const own = difference.changed.filter((one) => one.stage === stage)
    await Promise.all(
      own.map(async (one) => applyOne(kube, one, applied.has(keyOf(one.object)), later, signal)),
    )
  }
  await deleteAll(kube, difference.left, signal)
  // Where another image of a name came, its older ones go; what a container was made from stays.
  if (brought.any) await supply.prune(cluster, resolved.wanted.images, signal)
}

const NO_COUNT = { step: null, steps: null, percent: null, bytes: null, totalBytes: null } as const

/** What the services' pods are made of. @throws DevstackError IMAGE_UNAVAILABLE */
function imagesFor(
  { wanted, stack, containers }: KindResolved,
  services: readonly string[],
): readonly SuppliedImage[] {
  const workloads = stack.model.workloads.filter((one) =>
    one.services.some((name) => services.includes(name)),
  )
  const named = containers.filter((one) => workloads.some((workload) => isOf(one, workload)))
  const refs = new Set(named.flatMap(({ image }) => stack.local.refs.get(image) ?? []))
  const missing = wanted.missing.filter((ref) => refs.has(ref))
  if (missing.length > 0)
    throw new DevstackError('IMAGE_UNAVAILABLE', `${missing.join(', ')}: not on this machine`, {
      hint: 'devstack up builds or pulls it',
    })
  return wanted.images.filter(({ local }) => refs.has(local) || local === stack.local.agent)
}

/** Workloads of other services stay as they are, also where they are not there. */
function about({ changed, remade, left }: Difference, services: readonly string[]): Difference {
  const concerned = changed.filter(
    ({ workload }) => workload === null || workload.services.some((name) => services.includes(name)),
  )
  const keys = new Set(concerned.map(({ object }) => keyOf(object)))
  return { changed: concerned, remade: remade.filter((object) => keys.has(keyOf(object))), left }
}

/** Services that must not have pods before others are ready. */
function waiting({ resolution }: KindResolved, services: readonly string[]): readonly string[] {
  return services.filter((name) => (resolution.project.services[name]?.dependsOn ?? []).length > 0)
}

async function applyOne(
  kube: Kube,
  one: DesiredObject,
  isThere: boolean,
  later: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const waits = !isThere && one.workload?.services.some((service) => later.has(service)) === true
  if (waits && !canWait(one.object)) return
  await kube.apply(waits ? asleep(one.object) : one.object, { dryRun: false }, signal)
}

function canWait({ kind }: KubeObject): boolean {
  return kind === 'Deployment' || kind === 'StatefulSet' || kind === 'ReplicaSet' || kind === 'Job'
}

/** Without pods until it is started. */
function asleep(object: KubeObject): KubeObject {
  const spec = object['spec'] as Readonly<Record<string, unknown>>
  return { ...object, spec: { ...spec, ...(object.kind === 'Job' ? { suspend: true } : { replicas: 0 }) } }
}

/** Everything is tried before anything is changed: an object with a mistake leaves the stack as it was. */
async function checkFirst(
  kube: Kube,
  { changed, remade }: Difference,
  resolved: KindResolved,
  signal: AbortSignal,
): Promise<void> {
  const anew = new Set(remade.map(keyOf))
  const problems = await Promise.all(
    changed
      .filter((one) => !anew.has(keyOf(one.object)))
      .map(async ({ object }): Promise<readonly Problem[]> => {
        if ((await kube.path(object, object.metadata.name, signal)) === null)
          return [unknownKind(object, resolved)]
        try {
          await kube.apply(object, { dryRun: true }, signal)
          return []
        } catch (error) {
          const found = refusalProblems(object, error, resolved.stack.locate)
          if (found === null) throw error
          return found
        }
      }),
  )
  const all = problems.flat()
  if (all.length > 0)
    throw new DevstackError('CONFIG_INVALID', 'the API server refuses the manifests', { problems: all })
}

function unknownKind(object: KubeObject, { stack }: KindResolved): Problem {
  return {
    message: `the cluster does not know ${object.kind} of ${object.apiVersion}`,
    at: stack.locate(object, ['kind']),
    hint: 'if it is a custom resource, its definition has to be in the cluster first',
  }
}

/** @throws DevstackError STATE_FOREIGN where it is somebody else's */
async function ensureNamespace(
  kube: Kube,
  object: KubeObject,
  own: NamespaceOwner,
  signal: AbortSignal,
): Promise<void> {
  const path = `/api/v1/namespaces/${kube.namespace}`
  const there = await kube.get(path, signal)
  if (there === null) {
    await kube.create('/api/v1/namespaces', object, signal)
    return
  }
  requireOwnNamespace(there, own)
  if (there.metadata.deletionTimestamp === undefined) return
  await untilGone(kube, path, signal)
  await kube.create('/api/v1/namespaces', object, signal)
}

const LOOK_MS = 200

async function untilGone(kube: Kube, path: string, signal: AbortSignal): Promise<void> {
  while ((await kube.get(path, signal)) !== null) await sleep(LOOK_MS, undefined, { signal })
}

/** With what they made: a Job's pods, a Deployment's. Resolves when the objects themselves are gone. */
async function deleteAll(kube: Kube, objects: readonly KubeObject[], signal: AbortSignal): Promise<void> {
  await Promise.all(
    objects.map(async (object) => {
      const path = await kube.path(object, object.metadata.name, signal)
      if (path === null) return
      const { uid } = object.metadata
      const options = { propagation: 'Foreground', ...(uid === undefined ? {} : { uid }) } as const
      if (await kube.delete(path, options, signal)) await untilGone(kube, path, signal)
    }),
  )
}
