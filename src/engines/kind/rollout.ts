import { DevstackError } from '../../core/error.js'
import type { Workload } from '../../core/kubernetes-workloads.js'
import type { Instance } from '../../core/project.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import type { Gates } from './gates.js'
import { instancesOf, isAlive } from './instances.js'
import type { PodFeed } from './pod-feed.js'
import { containerNotes, KUBE_LABEL, parseInstanceId, statusOf } from './pods.js'
import type { Pod } from './pods.js'
import { waitingOf } from './waiting.js'
import type { Waiting } from './waiting.js'

/** What waiting for a service's pods takes. */
export interface Rollout {
  readonly feed: PodFeed
  readonly gates: Gates
  /** Opens a container's gate: its program begins. */
  readonly open: (instance: Instance, signal: AbortSignal) => Promise<void>
}

/** What is waited for. */
export interface RolloutOf {
  readonly service: string
  readonly workload: Workload
  readonly configHash: string
  /** Uids of pods that were just deleted: the feed may not have heard of it yet, and what they lack is no reason to give up. */
  readonly replaced: ReadonlySet<string>
}

/**
 * Resolves when every pod of the service's workload is there and its container runs or has ended; brings level and lets begin
 * those that wait at their gate.
 * @throws DevstackError OPERATION_FAILED where one cannot start, with the reason that Kubernetes gives
 */
export async function untilStarted(
  rollout: Rollout,
  { service, workload, configHash, replaced }: RolloutOf,
  run: ApplyContext,
): Promise<void> {
  const own = new Map<string, Pod>()
  const opening = new Set<string>()
  const stop = new AbortController()
  const signal = AbortSignal.any([run.signal, stop.signal])
  const over = Promise.withResolvers<void>()
  const patience = createPatience((waiting) => over.reject(cannotStart(service, waiting)))

  const keep = (pod: Pod): void => {
    const uid = pod.metadata.uid ?? ''
    if (!replaced.has(uid) && isOf(pod, service, workload, configHash)) own.set(uid, pod)
    else own.delete(uid)
  }
  const open = async (instance: Instance): Promise<void> => {
    opening.add(instance.id)
    await run.level?.(instance)
    await rollout.open(instance, signal)
    look()
  }
  const look = (): void => {
    const pods = [...own.values()]
    const instances = pods
      .flatMap((pod) => instancesOf(pod, rollout.gates, {}))
      .filter((instance) => instance.service === service)
    for (const instance of instances)
      if (isAtGate(own, instance) && !opening.has(instance.id)) open(instance).catch(over.reject)
    const waiting = pods.map(waitingOf).find((found) => found !== null) ?? null
    patience.waits(waiting)
    run.progress({ text: waiting?.cause ?? 'its pod comes up', ...NO_COUNT })
    if (pods.length >= workload.replicas && instances.every(({ state }) => state !== 'created'))
      over.resolve()
  }
  const follow = async (): Promise<void> => {
    for await (const news of rollout.feed.changes(signal)) {
      if (news.type === 'lost') continue
      if (news.type === 'connected') {
        own.clear()
        for (const pod of news.pods) keep(pod)
      } else if (news.type === 'changed') keep(news.pod)
      else own.delete(news.pod.metadata.uid ?? '')
      look()
    }
    run.signal.throwIfAborted()
  }
  try {
    const following = follow()
    following.catch(over.reject)
    await over.promise
  } finally {
    patience.end()
    stop.abort()
  }
}

function isOf(pod: Pod, service: string, { label }: Workload, configHash: string): boolean {
  if (pod.metadata.labels?.[KUBE_LABEL.workload] !== label || !isAlive(pod)) return false
  return Object.values(containerNotes(pod)).some(
    (note) => note.service === service && note.configHash === configHash,
  )
}

const NO_COUNT = { step: null, steps: null, percent: null, bytes: null, totalBytes: null } as const

function isAtGate(pods: ReadonlyMap<string, Pod>, instance: Instance): boolean {
  if (instance.state !== 'created') return false
  const ref = parseInstanceId(instance.id)
  const pod = pods.get(ref?.uid ?? '')
  return pod !== undefined && statusOf(pod, ref?.container)?.state?.running !== undefined
}

interface Patience {
  waits(waiting: Waiting | null): void
  end(): void
}

/** Calls `over` once a cause has lasted longer than it may. */
function createPatience(over: (waiting: Waiting) => void): Patience {
  let cause: string | null = null
  let timer: NodeJS.Timeout | undefined
  return {
    waits(waiting) {
      if ((waiting?.cause ?? null) === cause) return
      cause = waiting?.cause ?? null
      clearTimeout(timer)
      if (waiting !== null && waiting.patienceMs !== null)
        timer = setTimeout(() => over(waiting), waiting.patienceMs)
    },
    end: () => clearTimeout(timer),
  }
}

function cannotStart(service: string, { cause, hint }: Waiting): DevstackError {
  return new DevstackError('OPERATION_FAILED', `${service} cannot start`, { cause, hint })
}
