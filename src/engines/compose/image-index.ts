import type { Docker } from './docker.js'

/** An image that the engine has. */
export interface PresentImage {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
}

export interface ImageIndex {
  readonly byId: ReadonlyMap<string, PresentImage>
  /** By normalised reference, tags and digests. */
  readonly byRef: ReadonlyMap<string, PresentImage>
  readonly find: (ref: string) => PresentImage | undefined
}

interface ListedImage {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
  readonly Labels: Readonly<Record<string, string>> | null
}

/** Every image of the engine, in one call. */
export async function indexImages(docker: Docker, signal: AbortSignal): Promise<ImageIndex> {
  const listed = await docker.get<readonly ListedImage[]>('/images/json', {}, signal)
  const byId = new Map<string, PresentImage>()
  const byRef = new Map<string, PresentImage>()
  for (const { Id: id, RepoTags, RepoDigests, Labels } of listed) {
    const image = { id, labels: Labels ?? {} }
    byId.set(id, image)
    for (const ref of [...(RepoTags ?? []), ...(RepoDigests ?? [])]) byRef.set(normaliseRef(ref), image)
  }
  return { byId, byRef, find: (ref) => byId.get(ref) ?? byRef.get(normaliseRef(ref)) }
}

/** The short form that the engine lists: without the default host, with a tag. */
export function normaliseRef(ref: string): string {
  const short = ref.replace(/^(?:index\.)?docker\.io\//, '').replace(/^library\//, '')
  const digest = short.indexOf('@')
  if (digest >= 0) return short.slice(0, digest).replace(/:[^/:]*$/, '') + short.slice(digest)
  return /:[^/]*$/.test(short) ? short : `${short}:latest`
}
