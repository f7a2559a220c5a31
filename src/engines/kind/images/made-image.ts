import { createHash } from 'node:crypto'
import type { Docker } from '../../compose/docker.js'
import { tarFile } from './tar.js'

/** An image as the engine describes it, as far as a container is made from it. */
interface InspectedImage {
  readonly Created?: string
  readonly Architecture: string
  readonly Variant?: string
  readonly Os: string
  readonly Config?: Readonly<Record<string, unknown>> | null
  readonly RootFS?: { readonly Layers?: readonly string[] | null }
}

/** What an image is made of. */
export interface ImageParts {
  /** Digests of its layers' plain archives, the lowest first. */
  readonly layers: readonly string[]
  readonly config: Buffer
}

export async function readParts(docker: Docker, id: string, signal: AbortSignal): Promise<ImageParts> {
  const image = await docker.get<InspectedImage>(`/images/${encodeURIComponent(id)}/json`, {}, signal)
  const { Created: created, Architecture: architecture, Variant: variant, Os: os, Config: config } = image
  const layers = image.RootFS?.Layers ?? []
  const rootfs = { type: 'layers', diff_ids: layers }
  const platform = { architecture, os, ...(variant === undefined || variant === '' ? {} : { variant }) }
  const about = created === undefined || created === '' ? {} : { created }
  return {
    layers,
    config: Buffer.from(JSON.stringify({ ...about, ...platform, config: config ?? {}, rootfs })),
  }
}

/** One image of an archive in OCI's layout: where its manifest is, and the name that it gets. */
export interface NamedManifest {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly name: string
}

const TYPE = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const

/**
 * An image whose layers a node has already: only what describes it is sent. The engine would have to read and pack all of the
 * layers for that. Null where a layer's size is not known.
 */
export function describeImage(
  { layers, config }: ImageParts,
  sizes: ReadonlyMap<string, number>,
  name: string,
): { readonly files: readonly Buffer[]; readonly manifest: NamedManifest } | null {
  const described = layers.flatMap((digest) => {
    const size = sizes.get(digest)
    return size === undefined ? [] : [{ mediaType: TYPE.layer, digest, size }]
  })
  if (described.length < layers.length) return null
  const about = { mediaType: TYPE.config, digest: digestOf(config), size: config.length }
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: TYPE.manifest, config: about, layers: described }),
  )
  return {
    files: [config, manifest].map((content) => tarFile(blobPath(digestOf(content)), content)),
    manifest: { mediaType: TYPE.manifest, digest: digestOf(manifest), size: manifest.length, name },
  }
}

/** The files that say what an archive holds. */
export function layoutFiles(manifests: readonly NamedManifest[]): Buffer {
  const index = {
    schemaVersion: 2,
    mediaType: TYPE.index,
    manifests: manifests.map(({ name, ...manifest }) => ({
      ...manifest,
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tagOf(name) },
    })),
  }
  return Buffer.concat([
    tarFile('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')),
    tarFile('index.json', Buffer.from(JSON.stringify(index))),
  ])
}

export function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

function tagOf(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1)
}
