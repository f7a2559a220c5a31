import type { Docker } from '../../compose/docker.js'
import { createNodeStore } from './node-store.js'
import type { NodeImage, NodeStore } from './node-store.js'
import { fullReference } from './node-reference.js'

export interface PruneOptions {
  readonly docker: Docker
  /** Names of the nodes' containers. */
  readonly nodes: readonly string[]
  /** What the stack has now, as the nodes name it: older ones of the same names go. */
  readonly keep: readonly string[]
}

/**
 * Removes from the nodes what earlier builds of the stack's images left, but nothing that a container was made from. Resolves with the
 * references that are gone.
 */
export async function pruneImages(
  { docker, nodes, keep }: PruneOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const gone = await Promise.all(nodes.map((node) => pruneNode(createNodeStore(docker, node), keep, signal)))
  return [...new Set(gone.flat())]
}

export async function pruneNode(
  store: NodeStore,
  keep: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const images = await store.images(signal)
  const stale = staleImages(images, await store.used(signal), keep.map(fullReference))
  await store.remove(stale, signal)
  return stale.filter((name) => !isOwnName(name))
}

/** Tags that only {@link sendImages} gives. */
const TAG = /:ds-[0-9a-f]{12}$/

/** The names to remove: references, and with the last of an image also the runtime's own name for it, which would hold it. */
function staleImages(
  images: readonly NodeImage[],
  used: ReadonlySet<string>,
  keep: readonly string[],
): readonly string[] {
  const kept = new Set(keep)
  const repositories = new Set(keep.map(repositoryOf))
  // A container may name its image by any of its names.
  const running = new Set(images.filter(({ name }) => used.has(name)).map(({ digest }) => digest))
  const stale = images.filter(
    ({ name, digest }) =>
      TAG.test(name) && repositories.has(repositoryOf(name)) && !kept.has(name) && !running.has(digest),
  )
  const names = new Set(stale.map(({ name }) => name))
  const held = new Set(
    images.filter(({ name }) => !names.has(name) && !isOwnName(name)).map(({ digest }) => digest),
  )
  const digests = new Set(stale.map(({ digest }) => digest).filter((digest) => !held.has(digest)))
  const own = images.filter(({ name, digest }) => isOwnName(name) && digests.has(digest))
  return [...names, ...own.map(({ name }) => name)]
}

function repositoryOf(reference: string): string {
  return reference.replace(/:[^:/]*$/, '')
}

/** The runtime's, of the image's configuration. */
function isOwnName(name: string): boolean {
  return name.startsWith('sha256:')
}
