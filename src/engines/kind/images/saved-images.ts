import type { Docker } from '../../compose/docker.js'
import { layoutFiles } from './made-image.js'
import type { NamedManifest } from './made-image.js'
import type { NodeLoad } from './node-store.js'
import { readTar, TAR_END } from './tar.js'
import type { TarEntry } from './tar.js'

/** A node that takes a part of what the engine gives. */
export interface Taker {
  readonly load: NodeLoad
  /** Digests that it has already. */
  readonly has: ReadonlySet<string>
  /** Local images and the names that they get there; one may get several. */
  readonly names: readonly { readonly id: string; readonly name: string }[]
}

/** Manifests and configurations are small, and JSON. */
const LARGEST_DOCUMENT = 4 * 1024 * 1024
const OPENING_BRACE = 0x7b

/**
 * Has the engine pack the images once, what they share once too, and gives each node the parts that it lacks. Resolves when the nodes
 * have unpacked them.
 */
export async function passImages(
  docker: Docker,
  ids: readonly string[],
  takers: readonly Taker[],
  moved: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const manifests: Manifests = new Map()
  for await (const entry of readTar(await save(docker, ids, signal))) {
    const digest = digestOf(entry)
    if (digest !== null) await passBlob(entry, digest, takers, manifests, moved)
    signal.throwIfAborted()
  }
  await Promise.all(
    takers.map(async ({ load, names }) => {
      const named = names.map(({ id, name }) => {
        const manifest = manifests.get(id)
        if (manifest === undefined) throw new Error(`the engine packed no manifest of ${id}`)
        return { ...manifest, name }
      })
      await load.write(layoutFiles(named))
      await load.write(TAR_END)
      await load.end()
    }),
  )
}

async function save(
  docker: Docker,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const client = await docker.client()
  // The library cuts off the last character of a path with a query of its own.
  const query = ids.map((id) => `names=${encodeURIComponent(id)}&`).join('')
  return new Promise((resolve, reject) => {
    const request = {
      path: `/images/get?${query}`,
      method: 'GET',
      isStream: true,
      abortSignal: signal,
      statusCodes: { 200: true, 404: 'not found', 500: 'engine error' },
    }
    // The library's own call takes one image.
    const modem = client.modem as unknown as {
      dial(request: object, done: (error: unknown, stream: AsyncIterable<Buffer>) => void): void
    }
    modem.dial(request, (error, stream) => {
      if (error === null || error === undefined) resolve(stream)
      else reject(docker.explain(error, 'pack the images'))
    })
  })
}

async function passBlob(
  entry: TarEntry,
  digest: string,
  takers: readonly Taker[],
  manifests: Manifests,
  moved: (bytes: number) => void,
): Promise<void> {
  const lacking = takers.filter(({ has }) => !has.has(digest))
  const kept: Buffer[] | null = entry.size <= LARGEST_DOCUMENT ? [] : null
  if (lacking.length === 0 && kept === null) return
  await Promise.all(lacking.map(({ load }) => load.write(entry.header)))
  for await (const chunk of entry.body) {
    kept?.push(chunk)
    await Promise.all(lacking.map(({ load }) => load.write(chunk)))
    if (lacking.length > 0) moved(chunk.length)
  }
  if (kept !== null) remember(digest, Buffer.concat(kept).subarray(0, entry.size), manifests)
}

/**
 * By the engine's id of the image: its configuration's digest, or where the engine keeps images as they were pulled its manifest's. Not read
 * from the archive's own index: of several images without a name Docker 26 lists only the first there.
 */
type Manifests = Map<string, Omit<NamedManifest, 'name'>>

interface Document {
  readonly mediaType?: string
  readonly config?: { readonly digest?: string }
  readonly manifests?: unknown
}

function remember(digest: string, content: Buffer, manifests: Manifests): void {
  const document = parseDocument(content)
  const config = document?.config?.digest
  if (document === null || (typeof config !== 'string' && document.manifests === undefined)) return
  const mediaType = document.mediaType ?? 'application/vnd.oci.image.manifest.v1+json'
  const manifest = { mediaType, digest, size: content.length }
  manifests.set(digest, manifest)
  if (typeof config === 'string') manifests.set(config, manifest)
}

function digestOf({ name, isFile }: TarEntry): string | null {
  const [, algorithm, hash] = /^blobs\/([a-z0-9]+)\/([0-9a-f]+)$/.exec(name) ?? []
  return !isFile || algorithm === undefined || hash === undefined ? null : `${algorithm}:${hash}`
}

function parseDocument(content: Buffer): Document | null {
  if (content[0] !== OPENING_BRACE) return null
  try {
    return JSON.parse(content.toString('utf8')) as Document
  } catch {
    // A layer that begins like one.
    return null
  }
}
