import { DevstackError } from '../../../core/error.js'
import type { Progress } from '../../../core/events.js'
import type { Docker } from '../../compose/docker.js'
import { blobPath, describeImage, layoutFiles, readParts } from './made-image.js'
import type { ImageParts } from './made-image.js'
import { fullReference } from './node-reference.js'
import { createNodeStore } from './node-store.js'
import type { NodeStore } from './node-store.js'
import { passImages } from './saved-images.js'
import { TAR_END, tarFile } from './tar.js'
import { pushTopLayers } from './top-layers.js'

/** An image of the local engine that the nodes need. */
export interface SentImage {
  /** Of the local image. */
  readonly id: string
  /** As the nodes have it, another one for each id: `shop-api:ds-0123456789ab`. */
  readonly node: string
}

export interface SendOptions {
  readonly docker: Docker
  /** Names of the nodes' containers. */
  readonly nodes: readonly string[]
  readonly images: readonly SentImage[]
  readonly progress: (progress: Progress) => void
}

/** What was done. */
export interface Sent {
  /** References that a node lacked. */
  readonly references: readonly string[]
  /** That went into nodes. */
  readonly bytes: number
}

/** An image that a node lacks. */
interface Lack {
  readonly id: string
  /** In full: `docker.io/library/shop-api:ds-0123456789ab`. */
  readonly name: string
}

interface NodeLacks {
  readonly store: NodeStore
  readonly lacks: readonly Lack[]
  /** Digests that it has. */
  readonly has: ReadonlySet<string>
}

/**
 * Brings images into the nodes without a registry: only the layers that a node lacks, in one stream a node. An image that a node has
 * costs one look at its list.
 * @throws DevstackError OPERATION_FAILED, DISK_FULL, ENGINE_GONE
 */
export async function sendImages(options: SendOptions, signal: AbortSignal): Promise<Sent> {
  const { docker, nodes } = options
  return await sendInto(
    nodes.map((node) => createNodeStore(docker, node)),
    options,
    signal,
  )
}

export async function sendInto(
  stores: readonly NodeStore[],
  { docker, images, progress }: Omit<SendOptions, 'nodes'>,
  signal: AbortSignal,
): Promise<Sent> {
  const wanted = new Map(images.map(({ id, node }) => [fullReference(node), id]))
  const looked = await Promise.all(stores.map((store) => look(store, wanted, signal)))
  const lacking = looked.filter(({ lacks }) => lacks.length > 0)
  if (lacking.length === 0) return { references: [], bytes: 0 }
  const references = [...new Set(lacking.flatMap(({ lacks }) => lacks.map(({ name }) => name)))]
  const tell = createTeller(references, progress)
  const ids = new Set(lacking.flatMap(({ lacks }) => lacks.map(({ id }) => id)))
  const parts = new Map(
    await Promise.all([...ids].map(async (id) => [id, await readParts(docker, id, signal)] as const)),
  )
  const pushed = await pushThose(docker, lacking, parts, signal)
  const rest = await Promise.all(
    lacking.map((node) => describeThose(node, parts, pushed, tell.moved, signal)),
  )
  await saveThose(
    docker,
    rest.filter(({ lacks }) => lacks.length > 0),
    tell.moved,
    signal,
  )
  return { references, bytes: tell.bytes() }
}

async function look(
  store: NodeStore,
  wanted: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<NodeLacks> {
  const there = await store.names(signal)
  const lacks = [...wanted].flatMap(([name, id]) => (there.has(name) ? [] : [{ id, name }]))
  return { store, lacks, has: lacks.length === 0 ? new Set() : await store.blobs(signal) }
}

/** Layers that some node lacks, of images of which that is a small part. */
async function pushThose(
  docker: Docker,
  nodes: readonly NodeLacks[],
  parts: ReadonlyMap<string, ImageParts>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Buffer>> {
  const pushed = new Map<string, Buffer>()
  for (const [id, { layers }] of parts) {
    const takers = nodes.filter(({ lacks }) => lacks.some((lack) => lack.id === id))
    const lacked = layers.filter((layer) => !pushed.has(layer) && takers.some(({ has }) => !has.has(layer)))
    const found = await pushTopLayers(docker, { id, layers, missing: new Set(lacked) }, signal)
    for (const [digest, layer] of found ?? []) pushed.set(digest, layer)
  }
  return pushed
}

/** Sends the images whose layers are there, or were pushed; what is left has to be packed by the engine. */
async function describeThose(
  node: NodeLacks,
  parts: ReadonlyMap<string, ImageParts>,
  pushed: ReadonlyMap<string, Buffer>,
  moved: (bytes: number) => void,
  signal: AbortSignal,
): Promise<NodeLacks> {
  const whole = node.lacks.flatMap((lack) => {
    const image = parts.get(lack.id)
    const isThere = (layer: string): boolean => node.has.has(layer) || pushed.has(layer)
    return image?.layers.every(isThere) === true ? [{ lack, image }] : []
  })
  if (whole.length === 0) return node
  const layers = [...new Set(whole.flatMap(({ image }) => image.layers))]
  const sizes = new Map(await node.store.sizes(layers, signal))
  const added = layers.flatMap((digest) => {
    const layer = node.has.has(digest) ? undefined : pushed.get(digest)
    if (layer === undefined) return []
    sizes.set(digest, layer.length)
    return [tarFile(blobPath(digest), layer)]
  })
  const described = whole.flatMap(({ lack, image }) => {
    const made = describeImage(image, sizes, lack.name)
    return made === null ? [] : [{ lack, ...made }]
  })
  if (described.length === 0) return node
  const done = new Set(described.map(({ lack }) => lack))
  const archive = Buffer.concat([
    ...added,
    ...described.flatMap(({ files }) => files),
    layoutFiles(described.map(({ manifest }) => manifest)),
    TAR_END,
  ])
  try {
    const load = await node.store.load(signal)
    await load.write(archive)
    await load.end()
  } catch (error) {
    // A layer was thrown out a moment ago: then they are sent whole.
    if (!isRefused(error)) throw error
    return { ...node, has: new Set() }
  }
  moved(archive.length)
  return { ...node, lacks: node.lacks.filter((lack) => !done.has(lack)) }
}

async function saveThose(
  docker: Docker,
  nodes: readonly NodeLacks[],
  moved: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  if (nodes.length === 0) return
  try {
    await passThose(docker, nodes, moved, signal)
  } catch (error) {
    if (!isRefused(error) || nodes.every(({ has }) => has.size === 0)) throw error
    await passThose(
      docker,
      nodes.map((node) => ({ ...node, has: new Set<string>() })),
      moved,
      signal,
    )
  }
}

async function passThose(
  docker: Docker,
  nodes: readonly NodeLacks[],
  moved: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const takers = await Promise.all(
    nodes.map(async ({ store, lacks, has }) => ({
      load: await store.load(signal),
      has,
      names: lacks,
    })),
  )
  const ids = new Set(takers.flatMap(({ names }) => names.map(({ id }) => id)))
  try {
    await passImages(docker, [...ids], takers, moved, signal)
  } finally {
    for (const { load } of takers) load.abort()
  }
}

/** The runtime did not take what it was given. */
function isRefused(error: unknown): boolean {
  return error instanceof DevstackError && error.code === 'OPERATION_FAILED'
}

const TELL_MS = 100

function createTeller(references: readonly string[], progress: (progress: Progress) => void) {
  let bytes = 0
  let told = Number.NEGATIVE_INFINITY
  const names = references.map((name) =>
    name.replace(/^docker\.io\/(?:library\/)?/, '').replace(/:ds-\w+$/, ''),
  )
  const tell = (): void => {
    const text = `sending ${names.join(', ')} into the cluster`
    progress({ text, step: null, steps: null, percent: null, bytes, totalBytes: null })
  }
  tell()
  return {
    bytes: () => bytes,
    moved: (more: number): void => {
      bytes += more
      if (performance.now() - told < TELL_MS) return
      told = performance.now()
      tell()
    },
  }
}
