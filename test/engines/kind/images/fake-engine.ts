import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { startFakeDocker } from '../../compose/fake-docker.js'
import type { FakeDocker } from '../../compose/fake-docker.js'

/** A local image: each layer is a text. */
export interface FakeImage {
  readonly id: string
  readonly layers: readonly string[]
  readonly files: ReadonlyMap<string, Buffer>
  readonly manifest: { readonly digest: string; readonly size: number }
}

export interface FakeEngine {
  readonly docker: FakeDocker
  /** Ids of the images that each packing was asked for. */
  readonly packed: (readonly string[])[]
  /** Layers that were pushed, in their order. */
  readonly pushed: string[]
  /** Names that images have besides their own. */
  readonly names: Set<string>
  /** An engine elsewhere: what listens on this machine's loopback is not there for it. */
  reachesUs: boolean
  add(layers: readonly string[], env?: string): FakeImage
}

/** The local engine, with images that it describes and packs as Docker does since version 25. */
export async function startFakeEngine(): Promise<FakeEngine> {
  const docker = await startFakeDocker()
  const images = new Map<string, FakeImage>()
  const packed: (readonly string[])[] = []
  docker.answers['/images/get'] = (response: ServerResponse, path: string) => {
    const ids = new URL(path, 'http://x').searchParams.getAll('names')
    packed.push(ids)
    const wanted = ids.flatMap((id) => images.get(id) ?? [])
    packImages(wanted).then(
      (archive) => response.end(archive),
      (error: unknown) => response.destroy(error as Error),
    )
  }
  const byName = new Map<string, FakeImage>()
  const engine: FakeEngine = {
    docker,
    packed,
    pushed: [],
    names: new Set(),
    reachesUs: true,
    add(layers, env = 'A=1') {
      const image = fakeImage(layers, env)
      images.set(image.id, image)
      docker.answers[`/images/${encodeURIComponent(image.id)}/json`] = {
        Id: image.id,
        Created: '2026-01-02T03:04:05Z',
        Architecture: 'amd64',
        Os: 'linux',
        Config: { Env: [env], Cmd: ['run'], User: '1000' },
        RootFS: { Type: 'layers', Layers: layers.map((layer) => digestOf(Buffer.from(layer))) },
      }
      const sizes = layers.toReversed().map((layer) => ({ Size: layer.length }))
      docker.answers[`/images/${encodeURIComponent(image.id)}/history`] = [{ Size: 0 }, ...sizes]
      return image
    },
  }
  // What has a name of its own in its path.
  const named = (path: string) => (response: ServerResponse, asked: string) => {
    const query = new URL(asked, 'http://x').searchParams
    const [, name = '', verb = ''] = /^\/images\/(.*?)(?:\/(tag|push))?$/.exec(path) ?? []
    const image = images.get(name)
    const tagged = `${query.get('repo') ?? ''}:${query.get('tag') ?? ''}`
    if (verb === 'tag' && image !== undefined) {
      byName.set(tagged, image)
      engine.names.add(tagged)
      response.writeHead(201).end()
    } else if (verb === 'push')
      void push(engine, byName.get(`${name}:${query.get('tag') ?? ''}`), name, response)
    else if (engine.names.delete(name)) response.end('[]')
    else response.writeHead(404).end('{"message":"not there"}')
  }
  Object.setPrototypeOf(
    docker.answers,
    new Proxy(
      {},
      { get: (_, path) => (String(path).startsWith('/images/') ? named(String(path)) : undefined) },
    ),
  )
  return engine
}

/** The topmost layer first, as Docker does. */
async function push(
  engine: FakeEngine,
  image: FakeImage | undefined,
  repository: string,
  response: ServerResponse,
): Promise<void> {
  const slash = repository.indexOf('/')
  const base = `http://${repository.slice(0, slash)}`
  try {
    for (const layer of (image?.layers ?? []).toReversed()) {
      if (!engine.reachesUs) throw new Error('connection refused')
      const path = `${base}/v2${repository.slice(slash)}/blobs/uploads/`
      const location = (await fetch(path, { method: 'POST' })).headers.get('location') ?? ''
      await fetch(base + location, { method: 'PATCH', body: new Uint8Array(gzipSync(layer)) })
      engine.pushed.push(layer)
    }
    response.end('{"status":"done"}')
  } catch (error) {
    response.end(JSON.stringify({ error: String(error) }))
  }
}

function fakeImage(layers: readonly string[], env: string): FakeImage {
  const files = new Map<string, Buffer>()
  const put = (content: Buffer) => {
    files.set(digestOf(content), content)
    return { digest: digestOf(content), size: content.length }
  }
  const parts = layers.map((layer) => put(Buffer.from(layer)))
  const rootfs = { type: 'layers', diff_ids: parts.map(({ digest }) => digest) }
  const config = put(
    Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Env: [env] }, rootfs })),
  )
  const manifest = put(Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: parts })))
  return { id: config.digest, layers, files, manifest }
}

async function packImages(images: readonly FakeImage[]): Promise<Buffer> {
  const archive = pack()
  const done = buffer(archive)
  archive.entry({ name: 'blobs/', type: 'directory' })
  const files = new Map(images.flatMap((image) => [...image.files]))
  // The engine packs a folder: by name, whatever is needed first.
  for (const [digest, content] of [...files].sort(([a], [b]) => a.localeCompare(b)))
    archive.entry({ name: `blobs/sha256/${digest.slice(7)}` }, content)
  // Of several images without a name Docker 26 lists the first.
  const manifests = images.slice(0, 1).map(({ manifest }) => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
  }))
  archive.entry({ name: 'index.json' }, JSON.stringify({ schemaVersion: 2, manifests }))
  archive.entry({ name: 'manifest.json' }, '[]')
  archive.entry({ name: 'oci-layout' }, '{"imageLayoutVersion":"1.0.0"}')
  archive.finalize()
  return await done
}

export function digestOf(content: Buffer | string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}
