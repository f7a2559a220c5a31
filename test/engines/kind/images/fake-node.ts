import { createHash } from 'node:crypto'
import { extract } from 'tar-stream'
import { DevstackError } from '../../../../src/core/error.js'
import type { NodeImage, NodeLoad, NodeStore } from '../../../../src/engines/kind/images/node-store.js'

interface Descriptor {
  readonly digest: string
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
}

/** A node's image store. It takes in an archive as containerd does: every blob proven, every part there. */
export class FakeNode implements NodeStore {
  readonly content = new Map<string, Buffer>()
  /** Name -> digest of the manifest. */
  readonly named = new Map<string, string>()
  readonly inUse = new Set<string>()
  /** Digests that were sent, in order. */
  readonly sent: string[] = []
  /** What was asked: `names`, `blobs`, `load`, ... */
  readonly asked: string[] = []
  /** Thrown out before the next archive comes. */
  forgets: string[] = []

  constructor(readonly node: string) {}

  names(): Promise<ReadonlySet<string>> {
    this.asked.push('names')
    return Promise.resolve(new Set(this.named.keys()))
  }

  images(): Promise<readonly NodeImage[]> {
    return Promise.resolve([...this.named].map(([name, digest]) => ({ name, digest })))
  }

  blobs(): Promise<ReadonlySet<string>> {
    this.asked.push('blobs')
    return Promise.resolve(new Set(this.content.keys()))
  }

  sizes(digests: readonly string[]): Promise<ReadonlyMap<string, number>> {
    this.asked.push('sizes')
    return Promise.resolve(
      new Map(
        digests.flatMap((digest) => {
          const content = this.content.get(digest)
          return content === undefined ? [] : [[digest, content.length] as const]
        }),
      ),
    )
  }

  used(): Promise<ReadonlySet<string>> {
    return Promise.resolve(this.inUse)
  }

  remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.named.delete(name)
    return Promise.resolve()
  }

  load(): Promise<NodeLoad> {
    this.asked.push('load')
    for (const digest of this.forgets.splice(0)) this.content.delete(digest)
    const chunks: Buffer[] = []
    return Promise.resolve({
      write: (chunk: Buffer) => {
        chunks.push(Buffer.from(chunk))
        return Promise.resolve()
      },
      end: async () => await this.take(Buffer.concat(chunks)),
      abort: () => undefined,
    })
  }

  /** What a container made from this name would be: its configuration and its layers' content. */
  image(name: string): { readonly config: unknown; readonly layers: readonly string[] } {
    const manifest = this.json(this.named.get(name) ?? '') as {
      readonly config: Descriptor
      readonly layers: readonly Descriptor[]
    }
    const layers = manifest.layers.map(({ digest }) => String(this.content.get(digest)))
    return { config: this.json(manifest.config.digest), layers }
  }

  private async take(archive: Buffer): Promise<void> {
    const files = await unpack(archive)
    for (const [name, content] of files) {
      const [, hash] = /^blobs\/sha256\/(.*)$/.exec(name) ?? []
      if (hash === undefined) continue
      if (createHash('sha256').update(content).digest('hex') !== hash) throw refused(`wrong digest ${hash}`)
      this.content.set(`sha256:${hash}`, content)
      this.sent.push(`sha256:${hash}`)
    }
    if (!files.has('oci-layout')) throw refused('no layout')
    const index = JSON.parse(String(files.get('index.json'))) as { readonly manifests: readonly Descriptor[] }
    for (const { digest, size, annotations } of index.manifests) {
      this.check(digest, size)
      const { config, layers } = this.json(digest) as { config: Descriptor; layers: readonly Descriptor[] }
      for (const part of [config, ...layers]) this.check(part.digest, part.size)
      this.named.set(annotations?.['io.containerd.image.name'] ?? '', digest)
    }
  }

  private check(digest: string, size: number): void {
    const content = this.content.get(digest)
    if (content === undefined) throw refused(`content digest ${digest}: not found`)
    if (content.length !== size) throw refused(`${digest} has another size`)
  }

  private json(digest: string): unknown {
    return JSON.parse(String(this.content.get(digest)))
  }
}

function refused(cause: string): DevstackError {
  return new DevstackError('OPERATION_FAILED', 'ctr images import failed', { cause })
}

async function unpack(archive: Buffer): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>()
  const reader = extract()
  reader.end(archive)
  for await (const entry of reader) {
    const pieces: Buffer[] = []
    for await (const piece of entry) pieces.push(piece as Buffer)
    files.set(entry.header.name, Buffer.concat(pieces))
  }
  return files
}
