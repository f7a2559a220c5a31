import { createHash } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'

/** Path in the build context, with `/`, -> sha256 of what it held. Only paths in it are ever deleted in a container. */
export type Manifest = Readonly<Record<string, string>>

/** The Manifest as one label value, or null with the reason why there is none. */
export type EncodedManifest =
  { readonly label: string; readonly reason: null } | { readonly label: null; readonly reason: string }

/** Labels travel with every listing of images; a larger one would slow down each of them. */
const LARGEST_LABEL = 512 * 1024
/** A foreign label must not fill the memory. */
const LARGEST_TEXT = 64 * 1024 * 1024
const VERSION = '1:'

/** The same Manifest always gives the same text, whatever the order it was made in. */
export function encodeManifest(manifest: Manifest): EncodedManifest {
  const packed = gzipSync(JSON.stringify(sortedEntries(manifest)), { level: 9 })
  // The tenth byte names the operating system: the label would differ between machines.
  packed[9] = 255
  const label = VERSION + packed.toString('base64')
  if (label.length <= LARGEST_LABEL) return { label, reason: null }
  const files = Object.keys(manifest).length
  return { label: null, reason: `the build context holds too many files for a label (${String(files)})` }
}

/** The inverse; null where the text is none of ours. */
export function decodeManifest(label: string): Manifest | null {
  if (!label.startsWith(VERSION)) return null
  try {
    const packed = Buffer.from(label.slice(VERSION.length), 'base64')
    const entries: unknown = JSON.parse(
      gunzipSync(packed, { maxOutputLength: LARGEST_TEXT }).toString('utf8'),
    )
    return Array.isArray(entries) && entries.every(isEntry) ? Object.fromEntries(entries) : null
  } catch {
    return null
  }
}

function isEntry(value: unknown): value is readonly [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')
}

function sortedEntries(manifest: Manifest): readonly (readonly [string, string])[] {
  return Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Everything that an image is built from. */
export interface BuildInputs {
  readonly manifest: Manifest
  /** Leaves out files of the context that reach the container in another way. */
  readonly except?: ((path: string) => boolean) | undefined
  /** The Dockerfile's text. */
  readonly dockerfile: string
  readonly target: string | null
  readonly args: Readonly<Record<string, string>>
  /** Wanted reference -> id of the image, or the reference that is used where it is not there yet. */
  readonly bases: Readonly<Record<string, string>>
}

/** One hash over all inputs of a build: an image that carries it need not be built again. */
export function contextHash(inputs: BuildInputs): string {
  const files = sortedEntries(inputs.manifest).filter(([path]) => inputs.except?.(path) !== true)
  const parts = [
    files,
    inputs.dockerfile,
    inputs.target,
    sortedEntries(inputs.args),
    sortedEntries(inputs.bases),
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
