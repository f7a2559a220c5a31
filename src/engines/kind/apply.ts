import { DevstackError, never } from '../../core/error.js'
import type { Workload } from '../../core/kubernetes.js'
import type { Operation } from '../../core/plan.js'
import type { Instance } from '../../core/project.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { bringAbsentImages } from './absent-images.js'
import type { Connected } from './connection.js'
import { create } from './create.js'
import { clearOver, scaleUp, stopWorkload } from './lifecycle.js'
import { requireOwnNamespace } from './objects/namespace.js'
import type { KindContext } from './options.js'
import { remove } from './remove.js'
import { configHashOf, workloadOf } from './resolved.js'
import type { KindResolved } from './resolve.js'
import { builderOf } from './resolve.js'
import { untilStarted } from './rollout.js'

/** The engine's part of letting a program begin. */
export type OpenGate = (instance: Instance, signal: AbortSignal) => Promise<void>

/** Carries out one operation. `resolved` is null where the project was not read: only remove works then. */
export async function apply(
  context: KindContext,
  resolved: KindResolved | null,
  operation: Operation,
  run: ApplyContext,
  openGate: OpenGate,
): Promise<void> {
  const { signal } = run
  signal.throwIfAborted()
  await proveNamespace(context, operation, signal)
  switch (operation.kind) {
    case 'pullImage':
    case 'buildImage':
      return await context.builder.apply(operation, run)
    case 'buildService':
      return await buildService(context, needed(resolved), operation, run)
    case 'create':
      return await create(context, needed(resolved), operation.services, run)
    case 'start':
      return await start(context, needed(resolved), operation.service, run, openGate)
    case 'stop': {
      const { kube } = await context.connection.get(signal)
      const workloads = workloadsOf(needed(resolved), operation.services)
      await Promise.all(workloads.map((workload) => stopWorkload(kube, workload, operation.force, signal)))
      return
    }
    case 'remove':
      return await remove(context, operation.volumes, run)
    default:
      return never(operation)
  }
}

/**
 * In a cluster that is not ours the namespace may have become somebody else's since it was looked at.
 * @throws DevstackError STATE_FOREIGN
 */
async function proveNamespace(
  context: KindContext,
  operation: Operation,
  signal: AbortSignal,
): Promise<void> {
  const { owner, compose } = context.options
  const writes = operation.kind === 'create' || operation.kind === 'start' || operation.kind === 'stop'
  if (owner === null || !writes) return
  const { kube } = await context.connection.get(signal)
  const namespace = await kube.get(`/api/v1/namespaces/${kube.namespace}`, signal)
  if (namespace !== null) requireOwnNamespace(namespace, { project: compose.projectName, owner })
}

function needed(resolved: KindResolved | null): KindResolved {
  if (resolved === null) throw new Error('the project was not resolved before it was built or created')
  return resolved
}

/** Services that share an image have it built once. */
async function buildService(
  context: KindContext,
  resolved: KindResolved,
  operation: Extract<Operation, { kind: 'buildService' }>,
  run: ApplyContext,
): Promise<void> {
  const service = builderOf(
    operation.service,
    resolved.containers,
    resolved.stack.model,
    resolved.stack.local,
  )
  if (service === null) throw new Error(`nothing builds the image of ${operation.service}`)
  const building =
    resolved.building.get(service) ??
    context.builder.apply({ ...operation, service, services: [service] }, run)
  resolved.building.set(service, building)
  await building
}

/** Each workload once, whichever of its services are named: they share its pods. */
function workloadsOf({ stack }: KindResolved, services: readonly string[]): readonly Workload[] {
  return stack.model.workloads.filter((workload) => workload.services.some((name) => services.includes(name)))
}

async function start(
  context: KindContext,
  resolved: KindResolved,
  service: string,
  run: ApplyContext,
  open: OpenGate,
): Promise<void> {
  const connected: Connected = await context.connection.get(run.signal)
  const workload = workloadOf(resolved, service)
  if (workload.replicas === 0) return
  await clearOver(connected.kube, workload, run.signal)
  if (!(await scaleUp(connected.kube, workload, run.signal)))
    await create(context, resolved, workload.services, run, true)
  if (!(await scaleUp(connected.kube, workload, run.signal)))
    throw new DevstackError('OPERATION_FAILED', `${workload.kind} ${workload.name} is not in the cluster`, {
      cause: 'somebody deleted it a moment ago',
      hint: `devstack up ${service}`,
    })
  const replaced = await bringAbsentImages(context, resolved, workload, run)
  const rollout = { feed: connected.feed, gates: context.gates, open }
  await untilStarted(
    rollout,
    { service, workload, configHash: configHashOf(resolved, service), replaced },
    run,
  )
}
