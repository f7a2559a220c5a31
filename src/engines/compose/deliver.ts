import { posix } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Instance, WatchRule } from '../../core/project.js'
import { isWithin } from '../../core/update.js'
import type { Delivery, FileChange } from '../../orchestrator/ports.js'
import { orderChanges } from './change-order.js'
import type { Write } from './change-order.js'
import type { ContainerFiles } from './container-files.js'
import { isNotFound } from './docker.js'
import type { Docker } from './docker.js'
import { createFileTimes } from './file-times.js'
import type { FileTimes } from './file-times.js'
import { inspect } from './observe.js'
import { readOwner } from './owner.js'
import type { Owner } from './owner.js'
import type { PendingDeletes } from './pending.js'
import { findPlaces, realPath } from './places.js'
import type { Remover } from './remove.js'
import { uploadWrites } from './upload.js'

/** Writes and deletes files in containers. */
export interface Deliverer {
  /** @param rules the service's: nothing that belongs below a target is written outside of it */
  deliver(
    instance: Instance,
    changes: readonly FileChange[],
    rules: readonly DeliveryRule[],
    signal: AbortSignal,
  ): Promise<Delivery>
  /** To be called right after a container started: what was to be deleted in it is deleted now. */
  started(id: string, service: string, signal: AbortSignal): Promise<void>
}

/** As much of a rule as delivery needs to know. */
export type DeliveryRule = Pick<WatchRule, 'path' | 'target'>

export interface DeliveryTools {
  readonly docker: Docker
  readonly files: ContainerFiles
  readonly remover: Remover
  readonly pending: PendingDeletes
}

/** What is known of one container and stays so while it lives. */
export interface Known {
  readonly owner: Owner
  readonly binds: readonly string[]
  /** Volumes of a container whose root file system is read-only: only they can be written to. Null: everything can. */
  readonly volumes: readonly string[] | null
  /** Folders that are there, with the place where each really is. */
  readonly there: Map<string, string>
  readonly times: FileTimes
}

/** Names of users and folders are looked up once a container. */
export function createDeliverer(tools: DeliveryTools): Deliverer {
  const known = new Map<string, Known>()
  const queues = new Map<string, Promise<unknown>>()
  /** One thing at a time in each container: what waited to be deleted must not go after it was written anew. */
  const inTurn = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    const turn = (queues.get(id) ?? Promise.resolve()).then(work, work)
    queues.set(id, turn)
    try {
      return await turn
    } finally {
      if (queues.get(id) === turn) queues.delete(id)
    }
  }
  return {
    async deliver(instance, changes, rules, signal) {
      const { deletes, writes } = orderChanges(changes)
      if (deletes.length + writes.length === 0) return NOTHING
      try {
        return await inTurn(instance.id, async () => {
          const facts = known.get(instance.id) ?? (await learn(tools.docker, instance, signal))
          known.set(instance.id, facts)
          return await deliverTo({ tools, facts, instance, rules, signal }, deletes, writes)
        })
      } catch (error) {
        signal.throwIfAborted()
        // Folders may be gone, too: the next delivery looks again.
        known.delete(instance.id)
        throw explainDelivery(tools.docker, instance, error)
      }
    },
    async started(id, service, signal) {
      await inTurn(id, async () => {
        const targets = await tools.pending.of(id)
        if (targets.length === 0) return
        await tools.remover.remove({ id, service }, targets, signal)
        await tools.pending.drop(id, targets)
      })
    },
  }
}

const NOTHING: Delivery = { bytes: 0, written: {}, failed: [] }

/** One delivery to one container. */
export interface DeliveryTask {
  readonly tools: DeliveryTools
  readonly facts: Known
  readonly instance: Instance
  readonly rules: readonly DeliveryRule[]
  readonly signal: AbortSignal
}

async function deliverTo(
  task: DeliveryTask,
  deletes: readonly string[],
  writes: readonly Write[],
): Promise<Delivery> {
  const { tools, facts, instance, signal } = task
  const targets = [...deletes, ...writes.map(({ target }) => target)]
  refuseBinds(facts.binds, targets, instance)
  const places = await findPlaces(
    {
      docker: tools.docker,
      files: tools.files,
      id: instance.id,
      running: instance.state === 'running',
      bounds: {
        roots: task.rules.flatMap(({ target }) => target ?? []),
        binds: facts.binds,
      },
      there: facts.there,
      signal,
    },
    targets,
  )
  const allowed = (target: string): boolean => !places.refused.has(target)
  const real = (target: string): string => realPath(facts.there, target)
  const gone = deletes.filter((target) => allowed(target) && facts.there.has(posix.dirname(target)))
  const wanted = writes.filter(({ target }) => allowed(target))
  await tools.pending.drop(
    instance.id,
    wanted.map(({ target }) => real(target)),
  )
  await removeNow(task, gone.map(real))
  const delivery = await uploadWrites(task, places.missing, wanted, deletes)
  const refused = targets.flatMap((target) => {
    const cause = places.refused.get(target)
    return cause === undefined ? [] : [{ target, cause }]
  })
  return { ...delivery, failed: [...refused, ...delivery.failed] }
}

async function removeNow(task: DeliveryTask, targets: readonly string[]): Promise<void> {
  const { tools, facts, instance, signal } = task
  if (instance.state !== 'running') {
    await tools.pending.add(instance.id, targets)
    return
  }
  const waiting = await tools.pending.of(instance.id)
  const all = [...waiting, ...targets]
  if (all.length === 0) return
  await tools.remover.remove(instance, all, signal)
  if (waiting.length > 0) await tools.pending.drop(instance.id, waiting)
  for (const folder of facts.there.keys())
    if (folder !== '/' && all.some((target) => isWithin(target, folder))) facts.there.delete(folder)
}

async function learn(docker: Docker, instance: Instance, signal: AbortSignal): Promise<Known> {
  const container = await inspect(docker, instance.id, signal)
  if (container === null) throw gone(instance)
  return {
    owner: await readOwner(docker, container, signal),
    binds: container.Mounts.filter(({ Type }) => Type === 'bind').map(({ Destination }) => Destination),
    volumes:
      container.HostConfig.ReadonlyRootfs === true
        ? container.Mounts.filter(({ Type, RW }) => Type === 'volume' && RW !== false).map(
            ({ Destination }) => Destination,
          )
        : null,
    there: new Map([['/', '/']]),
    times: createFileTimes(() => Date.now()),
  }
}

/** Where all lies in bind mounts. A single target there is refused by name, and the rest delivered. */
function refuseBinds(binds: readonly string[], targets: readonly string[], instance: Instance): void {
  const found = targets.map((target) => binds.find((path) => isWithin(path, target)))
  const [bind] = found
  if (bind === undefined || found.includes(undefined)) return
  throw new DevstackError(
    'DELIVERY_FAILED',
    `${targets[0] ?? ''} of ${instance.service} lies in a bind mount`,
    {
      cause: `${bind} is a folder of this machine: writing there would write into your own files`,
      hint: 'take either the bind mount or the sync rule out of the compose file',
    },
  )
}

function gone(instance: Instance): DevstackError {
  return new DevstackError('DELIVERY_FAILED', `the container of ${instance.service} is gone`, {
    hint: `devstack up ${instance.service}`,
  })
}

function explainDelivery(docker: Docker, instance: Instance, error: unknown): Error {
  if (isNotFound(error) && !(error instanceof DevstackError)) return gone(instance)
  const explained = docker.explain(error, `deliver to ${instance.service}`)
  if (!(explained instanceof DevstackError) || explained.code !== 'OPERATION_FAILED') return explained
  const readOnly = /read-only/i.test(explained.why ?? '')
  return new DevstackError('DELIVERY_FAILED', `could not deliver to ${instance.service}`, {
    cause: explained.why,
    hint: readOnly
      ? 'its root file system is read-only: use a rebuild rule instead of sync'
      : `a rebuild brings it level: devstack up --build ${instance.service}`,
  })
}
