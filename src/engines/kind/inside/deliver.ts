import { DevstackError } from '../../../core/error.js'
import type { WatchRule } from '../../../core/project.js'
import type { Delivery, FileChange } from '../../../orchestrator/ports.js'
import { orderChanges } from '../../compose/change-order.js'
import type { OrderedChanges } from '../../compose/change-order.js'
import { createFileTimes } from '../../compose/file-times.js'
import type { FileTimes } from '../../compose/file-times.js'
import type { Kube } from '../kube-ports.js'
import { instanceId } from '../pods.js'
import { StreamBroken } from './agent-stream.js'
import type { Agents } from './agents.js'
import { Batch } from './batch.js'
import type { AgentFailure, GateState } from './frames.js'
import { deliverPlainly, openGatePlainly } from './plainly.js'
import { NoAgent, NotThere } from './target.js'
import type { InsideTarget } from './target.js'

/** As much of a rule as delivery needs to know. */
export type DeliveryRule = Pick<WatchRule, 'path' | 'target'>

/** Writes and deletes files in containers of pods, and lets their programs begin. */
export interface Deliverer {
  /**
   * @param rules the service's: nothing that belongs below a target is written outside of it
   * @throws DevstackError DELIVERY_FAILED where nothing can be delivered there, ENGINE_GONE
   */
  deliver(
    target: InsideTarget,
    changes: readonly FileChange[],
    rules: readonly DeliveryRule[],
    signal: AbortSignal,
  ): Promise<Delivery>
  openGate(target: InsideTarget, signal: AbortSignal): Promise<GateState>
  /** What is known of a container that is gone. */
  forget(target: InsideTarget): void
}

const NOTHING: Delivery = { bytes: 0, written: {}, failed: [] }
/** The numbers of the system for what concerns more than one file: read-only, no space left, over quota. */
const EVERYWHERE: ReadonlySet<number> = new Set([30, 28, 122])
/** A program that comes to its gate later than this goes on by itself. */
const GATE_SECONDS = 12

export function createDeliverer(kube: Kube, agents: Agents): Deliverer {
  const times = new Map<string, FileTimes>()
  const queues = new Map<string, Promise<unknown>>()
  let batches = 0
  /** One thing at a time in each container. */
  const inTurn = async <T>(target: InsideTarget, work: () => Promise<T>): Promise<T> => {
    const id = instanceId(target)
    const turn = (queues.get(id) ?? Promise.resolve()).then(work, work)
    queues.set(id, turn)
    try {
      return await turn
    } finally {
      if (queues.get(id) === turn) queues.delete(id)
    }
  }
  const timesOf = (target: InsideTarget): FileTimes => {
    const id = instanceId(target)
    const known = times.get(id) ?? createFileTimes(() => Date.now())
    times.set(id, known)
    return known
  }
  return {
    async deliver(target, changes, rules, signal) {
      const ordered = orderChanges(changes)
      if (ordered.deletes.length + ordered.writes.length === 0) return NOTHING
      const task: Task = { kube, agents, target, rules, timeOf: sameTimeAgain(timesOf(target)), signal }
      return await inTurn(target, async () => {
        try {
          return await deliverTo(task, ordered, () => batches++)
        } catch (error) {
          signal.throwIfAborted()
          // It will not come back: another run has another name.
          if (error instanceof NotThere) times.delete(instanceId(target))
          throw explain(target, error)
        }
      })
    },
    async openGate(target, signal) {
      return await inTurn(target, async () => {
        try {
          return await openGateOf({ kube, agents, target, signal })
        } catch (error) {
          signal.throwIfAborted()
          throw explain(target, error)
        }
      })
    },
    forget(target) {
      times.delete(instanceId(target))
      agents.drop(target)
    },
  }
}

export type TimeOf = (target: string, sourceMs: number | null) => number

interface Task {
  readonly kube: Kube
  readonly agents: Agents
  readonly target: InsideTarget
  readonly rules: readonly DeliveryRule[]
  readonly timeOf: TimeOf
  readonly signal: AbortSignal
}

/** What is sent again, after a connection broke, has the time that it had; saved again in between it is another delivery. */
function sameTimeAgain(times: FileTimes): TimeOf {
  const sent = new Map<string, { readonly sourceMs: number | null; readonly time: number }>()
  return (target, sourceMs) => {
    const before = sent.get(target)
    if (before?.sourceMs === sourceMs) return before.time
    const time = times.of(target, sourceMs)
    sent.set(target, { sourceMs, time })
    return time
  }
}

async function deliverTo(task: Task, ordered: OrderedChanges, number: () => number): Promise<Delivery> {
  const { kube, agents, target, rules, timeOf, signal } = task
  const named = new Set(rules.map(({ path }) => path))
  try {
    return await withAgent(agents, target, signal, async ({ stream, container }) => {
      const roots = rules.flatMap((rule) => rule.target ?? [])
      const bounds = { roots, binds: container.binds }
      const batch = new Batch(number(), ordered, { bounds, named, timeOf, signal })
      const failures = await stream.batch(batch.id, batch.chunks(), signal)
      const delivery = batch.result(failures)
      refuseWhole(target, delivery, failures)
      return delivery
    })
  } catch (error) {
    if (!(error instanceof NoAgent)) throw error
    return await deliverPlainly({ kube, target, named, timeOf, tried: error.message, signal }, ordered)
  }
}

async function openGateOf({
  kube,
  agents,
  target,
  signal,
}: Pick<Task, 'kube' | 'agents' | 'target' | 'signal'>): Promise<GateState> {
  try {
    return await withAgent(agents, target, signal, ({ stream }) =>
      stream.openGate(target.container, GATE_SECONDS, signal),
    )
  } catch (error) {
    if (!(error instanceof NoAgent)) throw error
    return await openGatePlainly(kube, target, GATE_SECONDS, signal)
  }
}

/** Once more over a new connection where the old one breaks: everything that an agent does can be done twice. */
async function withAgent<T>(
  agents: Agents,
  target: InsideTarget,
  signal: AbortSignal,
  work: (agent: Awaited<ReturnType<Agents['get']>>) => Promise<T>,
): Promise<T> {
  for (let tries = 0; ; tries++) {
    const agent = await agents.get(target, signal)
    try {
      return await work(agent)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof StreamBroken)) throw error
      if (tries > 0) throw error
    }
  }
}

function refuseWhole(
  { service }: InsideTarget,
  { written }: Delivery,
  failures: readonly AgentFailure[],
): void {
  const [first] = failures
  if (first === undefined || Object.keys(written).length > 0) return
  if (!failures.every(({ errno }) => EVERYWHERE.has(errno))) return
  throw new DevstackError('DELIVERY_FAILED', `could not deliver to ${service}`, {
    cause: first.cause,
    hint:
      first.errno === 30
        ? 'its root file system is read-only: use a rebuild rule instead of sync'
        : 'the node is full: docker system df shows what takes the room',
  })
}

function explain(target: InsideTarget, error: unknown): unknown {
  const { service } = target
  if (error instanceof NotThere) {
    return new DevstackError('DELIVERY_FAILED', `the container of ${service} is gone`, {
      cause: error.message,
      hint: `devstack up ${service}`,
    })
  }
  if (error instanceof StreamBroken) {
    return new DevstackError('DELIVERY_FAILED', `could not deliver to ${service}`, {
      cause: `the connection to its agent broke: ${error.message}`,
      hint: `a rebuild brings it level: devstack up --build ${service}`,
    })
  }
  return error
}
