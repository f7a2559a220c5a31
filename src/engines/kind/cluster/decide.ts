import type { NodeContainer } from './nodes.js'
import type { ClusterRecord } from './state.js'

/** What has to be done so that the cluster is there. */
export type Decision =
  | { readonly action: 'create'; readonly note: string | null }
  /** Nothing of worth is in it. */
  | { readonly action: 'makeAnew'; readonly note: string }
  /** Something may be in it, which goes. */
  | { readonly action: 'askAnew'; readonly why: string }
  | { readonly action: 'start'; readonly nodes: readonly NodeContainer[] }
  | { readonly action: 'use' }
  /** It is somebody else's. */
  | { readonly action: 'refuse'; readonly why: string }

/** The engine's clock tells whole seconds. */
const CLOCK_MS = 2000

/** `nodes`: what carries kind's label of our cluster's name. Ours is only what stands in our record as well. */
export function decideCluster(record: ClusterRecord | null, nodes: readonly NodeContainer[]): Decision {
  const [first] = nodes
  if (first === undefined) {
    const note =
      record?.phase === 'made' ? 'its node was removed by hand, and what was in it is gone with it' : null
    return { action: 'create', note }
  }
  if (record === null) return { action: 'refuse', why: `devstack did not make ${first.name}` }
  if (record.phase === 'making') {
    const older = nodes.find(({ createdAt }) => createdAt < record.since - CLOCK_MS)
    if (older === undefined) return { action: 'makeAnew', note: 'its creation was interrupted' }
    return { action: 'refuse', why: `${older.name} is older than the cluster that devstack began to make` }
  }
  const known = new Set(record.nodes.map(({ id }) => id))
  const strange = nodes.find(({ id }) => !known.has(id))
  if (strange !== undefined) return { action: 'refuse', why: `devstack did not make ${strange.name}` }
  const there = new Set(nodes.map(({ id }) => id))
  const gone = record.nodes.filter(({ id }) => !there.has(id)).map(({ name }) => name)
  if (gone.length > 0) return { action: 'askAnew', why: `${gone.join(', ')} was removed by hand` }
  const still = nodes.filter(({ state }) => state !== 'running')
  return still.length === 0 ? { action: 'use' } : { action: 'start', nodes: still }
}
