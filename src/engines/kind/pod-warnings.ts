import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import { KubeError } from './kube/errors.js'
import type { Kube, KubeObject } from './kube-ports.js'
import type { PodWarning } from './pods.js'

/**
 * What the cluster complains of about pods and does not say in their status: what a probe printed, a volume that cannot be
 * mounted. It tells them as objects of their own, so they are followed by a watch of their own.
 */
export interface PodWarnings {
  /** The newest of each sort. */
  of(uid: string): readonly PodWarning[]
  forget(uid: string): void
  /** Until aborted, or until the cluster refuses; calls `tell` with each pod that has another one. */
  follow(tell: (uid: string) => void, signal: AbortSignal): Promise<void>
}

/** `Event` of the API, as far as it is read. */
interface KubeEvent extends KubeObject {
  readonly involvedObject?: { readonly uid?: string; readonly fieldPath?: string }
  readonly reason?: string
  readonly message?: string
  readonly count?: number
  readonly series?: { readonly count?: number }
}

const PAUSE_MS = 5000

export function createPodWarnings(kube: Kube): PodWarnings {
  const known = new Map<string, Map<string, PodWarning>>()
  const path = `/api/v1/namespaces/${kube.namespace}/events`
  const query = { fieldSelector: 'involvedObject.kind=Pod,type=Warning' }

  const take = (event: KubeEvent): string => {
    const uid = event.involvedObject?.uid ?? ''
    const warning = toWarning(event)
    const own = known.get(uid) ?? new Map<string, PodWarning>()
    known.set(uid, own.set(sortOf(warning), warning))
    return uid
  }
  /** Resolves with the version to go on from. */
  const once = async (from: string | null, tell: (uid: string) => void, signal: AbortSignal) => {
    let version = from
    if (version === null) {
      const list = await kube.list<KubeEvent>(path, query, signal)
      for (const uid of new Set(list.items.map(take))) tell(uid)
      version = list.resourceVersion
    }
    const since = { ...query, resourceVersion: version }
    for await (const { type, object } of kube.watch<KubeEvent>(path, since, signal)) {
      version = object.metadata.resourceVersion ?? version
      if (type === 'ADDED' || type === 'MODIFIED') tell(take(object))
    }
    return version
  }
  return {
    of: (uid) => [...(known.get(uid)?.values() ?? [])],
    forget: (uid) => void known.delete(uid),
    async follow(tell, signal) {
      let version: string | null = null
      while (!signal.aborted) {
        try {
          version = await once(version, tell, signal)
        } catch (error) {
          if (signal.aborted || isRefused(error)) return
          if (!isOfTheServer(error)) throw error
          version = null
        }
        await sleep(PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined)
      }
    },
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 401 || error.status === 403)
}

function isOfTheServer(error: unknown): boolean {
  return error instanceof DevstackError || (error as NodeJS.ErrnoException).code !== undefined
}

function toWarning({ involvedObject, reason = '', message = '', count, series }: KubeEvent): PodWarning {
  return {
    container: /\{([^}]+)\}/.exec(involvedObject?.fieldPath ?? '')?.[1] ?? null,
    reason,
    message: message.replaceAll(/\s+/g, ' ').trim(),
    count: series?.count ?? count ?? 1,
  }
}

/** One reason stands for three probes. */
function sortOf({ container, reason, message }: PodWarning): string {
  return [container ?? '', reason, /^(\w+) probe /.exec(message)?.[1] ?? ''].join(' ')
}
