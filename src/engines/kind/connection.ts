import { DevstackError } from '../../core/error.js'
import { createKube } from './kube/kube.js'
import type { Cluster, Kube } from './kube-ports.js'
import { createPodFeed } from './pod-feed.js'
import type { PodFeed } from './pod-feed.js'
import { createPodWarnings } from './pod-warnings.js'
import { KUBE_LABEL } from './pods.js'
import { untilOver } from './until-over.js'
import { createWakes } from './wake.js'
import type { Wakes } from './wake.js'

/** The cluster as this process talks to it. */
export interface Connected {
  readonly cluster: Cluster
  readonly kube: Kube
  readonly feed: PodFeed
}

export interface Connection {
  readonly wakes: Wakes
  /** Null where there is no cluster. */
  find(signal: AbortSignal): Promise<Connected | null>
  /** @throws DevstackError ENGINE_NOT_RUNNING where there is none */
  get(signal: AbortSignal): Promise<Connected>
  /** It may be another cluster by now: it is looked for and proven again. */
  forget(): void
}

export function createConnection(options: {
  readonly cluster: (signal: AbortSignal) => Promise<Cluster | null>
  readonly project: string
  readonly namespace: string
}): Connection {
  const { cluster, project, namespace } = options
  const wakes = createWakes()
  let known: Connected | null = null
  let finding: Promise<Connected | null> | null = null
  const look = async (signal: AbortSignal): Promise<Connected | null> => {
    const found = await cluster(signal)
    if (found === null) return null
    const kube = createKube({ access: found.access, namespace })
    const labelSelector = `${KUBE_LABEL.project}=${project}`
    known ??= {
      cluster: found,
      kube,
      feed: createPodFeed(kube, { labelSelector, wakes, warnings: createPodWarnings(kube) }),
    }
    return known
  }
  const find = async (signal: AbortSignal): Promise<Connected | null> => {
    if (known !== null) return known
    // Several ask as a session begins: one proof is enough for them. Where the first was stopped or failed they ask themselves.
    if (finding !== null) {
      await untilOver(finding, signal)
      signal.throwIfAborted()
      if (known !== null) return known
    }
    const own = look(signal)
    finding ??= own
    try {
      return await own
    } finally {
      if (finding === own) finding = null
    }
  }
  return {
    wakes,
    find,
    async get(signal) {
      const found = await find(signal)
      if (found !== null) return found
      throw new DevstackError('ENGINE_NOT_RUNNING', 'there is no cluster', {
        hint: 'devstack up --engine kind makes one',
      })
    },
    forget: () => {
      known = null
    },
  }
}
