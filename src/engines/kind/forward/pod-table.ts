import type { PodNews } from '../pod-feed.js'
import type { Pod } from '../pods.js'

/** The pods that a Kubernetes Service leads to, in turn. */
export interface Route {
  readonly selector: Readonly<Record<string, string>>
  /** As the Service says: a number, or the name of a container's port. */
  readonly targetPort: number | string
}

/** Where a connection goes. */
export interface Place {
  readonly pod: string
  readonly uid: string
  readonly port: number
}

/** What is known of the stack's pods. */
export interface PodTable {
  take(news: PodNews): void
  /** Ready ones only. */
  places(route: Route): readonly Place[]
  /** The pod as it was last told. */
  podOf(place: Place): Pod | undefined
  /** At each change; returns what ends it. */
  onChange(tell: () => void): () => void
  /** When this pod is no more; returns what ends it. */
  onRemoved(uid: string, tell: () => void): () => void
}

export function createPodTable(): PodTable {
  const pods = new Map<string, Pod>()
  const changes = new Set<() => void>()
  const removals = new Map<string, Set<() => void>>()

  const remove = (uid: string): void => {
    pods.delete(uid)
    for (const tell of removals.get(uid) ?? []) tell()
    removals.delete(uid)
  }
  const apply = (news: PodNews): void => {
    switch (news.type) {
      case 'connected': {
        const there = new Set(news.pods.map(uidOf))
        for (const uid of pods.keys()) if (!there.has(uid)) remove(uid)
        for (const pod of news.pods) pods.set(uidOf(pod), pod)
        break
      }
      case 'changed':
        pods.set(uidOf(news.pod), news.pod)
        break
      case 'removed':
        remove(uidOf(news.pod))
        break
      case 'lost':
        break
    }
  }

  return {
    take(news) {
      apply(news)
      for (const tell of changes) tell()
    },
    places: (route) =>
      [...pods.values()]
        .filter((pod) => isReady(pod) && matches(pod, route.selector))
        .flatMap((pod) => {
          const port = portOf(pod, route.targetPort)
          return port === null ? [] : [{ pod: pod.metadata.name, uid: uidOf(pod), port }]
        }),
    podOf: ({ uid }) => pods.get(uid),
    onChange(tell) {
      const listener = (): void => tell()
      changes.add(listener)
      return () => changes.delete(listener)
    },
    onRemoved(uid, tell) {
      const listener = (): void => tell()
      const listeners = removals.get(uid) ?? new Set()
      removals.set(uid, listeners.add(listener))
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0 && removals.get(uid) === listeners) removals.delete(uid)
      }
    },
  }
}

function uidOf({ metadata }: Pod): string {
  return metadata.uid ?? metadata.name
}

function isReady({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false
}

/** A Service without a selector leads nowhere. */
function matches({ metadata }: Pod, selector: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector)
  return wanted.length > 0 && wanted.every(([name, value]) => metadata.labels?.[name] === value)
}

interface NamedPorts {
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
}

function portOf({ spec }: Pod, port: number | string): number | null {
  if (typeof port === 'number') return port
  const containers = [...spec.containers, ...(spec.initContainers ?? [])] as readonly NamedPorts[]
  const named = containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === port)
  return named?.containerPort ?? null
}
