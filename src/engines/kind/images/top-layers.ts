import { setTimeout as sleep } from 'node:timers/promises'
import type { Docker } from '../../compose/docker.js'
import { isNotFound } from '../../compose/docker.js'
import { LARGEST_LAYER, LAYER_REPOSITORY, openLayerRegistry } from './layer-registry.js'

/** What is known of an image before anything of it is packed. */
export interface TopLayers {
  readonly id: string
  /** Digests of its layers' plain archives, the lowest first. */
  readonly layers: readonly string[]
  /** Digests that some node lacks. */
  readonly missing: ReadonlySet<string>
}

interface HistoryEntry {
  readonly Size: number
}

/** A push that comes to nothing: an engine elsewhere does not reach this machine. */
const PUSH_MS = 10_000
const TAG = 'layers'

/**
 * The missing layers of an image, where they are few and on top: packing the image would read all of its layers, and write them to the disk
 * first. The engine pushes them one by one, the topmost first, and is stopped when the last that is missing has come.
 * Null where that would not be faster, or does not work here.
 */
export async function pushTopLayers(
  docker: Docker,
  image: TopLayers,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Buffer> | null> {
  if (!areOnTop(image) || !(await areSmall(docker, image, signal))) return null
  const registry = await openLayerRegistry(image.missing)
  const over = new AbortController()
  const stop = AbortSignal.any([signal, over.signal])
  try {
    return await Promise.race([
      registry.layers,
      push(docker, image.id, registry.repository, stop).then(() => null),
      sleep(PUSH_MS, null, { signal: stop }),
    ])
  } catch {
    // Whatever it was, the other way tells of it, if it is still so.
    signal.throwIfAborted()
    return null
  } finally {
    over.abort()
    await registry.close()
    await untag(docker, `${registry.repository}:${TAG}`)
  }
}

/** All of them are no part. */
function areOnTop({ layers, missing }: TopLayers): boolean {
  if (missing.size === 0 || missing.size === layers.length) return false
  return layers.slice(-missing.size).every((layer) => missing.has(layer))
}

/** A push has them compressed first. */
async function areSmall(docker: Docker, { id, missing }: TopLayers, signal: AbortSignal): Promise<boolean> {
  const path = `/images/${encodeURIComponent(id)}/history`
  const history = await docker.get<readonly HistoryEntry[]>(path, {}, signal)
  // The newest first. Layers without a size may be among them: then it is taken for more than it is.
  const sizes = history.map(({ Size }) => Size).filter((size) => size > 0)
  const sum = (some: readonly number[]): number => some.reduce((total, size) => total + size, 0)
  const bytes = sum(sizes.slice(0, missing.size))
  return bytes <= LARGEST_LAYER && bytes <= sum(sizes) / 4
}

/** Resolves when the engine gives up, or is done. */
async function push(docker: Docker, id: string, repository: string, signal: AbortSignal): Promise<void> {
  await removeLeftovers(docker, signal)
  const client = await docker.client()
  await client.getImage(id).tag({ repo: repository, tag: TAG, abortSignal: signal })
  const options = { tag: TAG, authconfig: {}, abortSignal: signal }
  const progress = await client.getImage(repository).push(options as object)
  for await (const _ of progress as AsyncIterable<Buffer>) signal.throwIfAborted()
}

/** Names that a killed process gave to images. */
async function removeLeftovers(docker: Docker, signal: AbortSignal): Promise<void> {
  const filters = { reference: [`127.0.0.1:*/${LAYER_REPOSITORY}/*`] }
  const found = await docker.get<readonly { readonly RepoTags?: readonly string[] | null }[]>(
    '/images/json',
    { filters },
    signal,
  )
  const names = found.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => isOurs(name))
  await Promise.all(names.map(async (name) => await untag(docker, name)))
}

function isOurs(name: string): boolean {
  return new RegExp(`^127\\.0\\.0\\.1:\\d+/${LAYER_REPOSITORY}/[0-9a-f]{32}:${TAG}$`).test(name)
}

/** The image itself stays: it has its own name, or its id. */
async function untag(docker: Docker, name: string): Promise<void> {
  try {
    await (await docker.client()).getImage(name).remove({ noprune: true })
  } catch (error) {
    // Never given, or the engine went away: the next push looks for it.
    if (!isNotFound(error)) return
  }
}
