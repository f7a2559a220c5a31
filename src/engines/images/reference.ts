/** An image reference, taken apart. */
export interface ImageReference {
  /** `docker.io` where none is written. */
  readonly host: string
  /** Without the host: `library/postgres`. */
  readonly path: string
  readonly tag: string | null
  readonly digest: string | null
}

const DEFAULT_HOST = 'docker.io'

/** Takes a reference apart as the engine does: a first part with a dot, a colon or `localhost` is a host. */
export function parseReference(reference: string): ImageReference {
  const [named = '', digest = null] = reference.split('@', 2)
  const slash = named.indexOf('/')
  const first = slash < 0 ? '' : named.slice(0, slash)
  const hasHost = /[.:]/.test(first) || first === 'localhost'
  const rest = hasHost ? named.slice(slash + 1) : named
  const colon = rest.lastIndexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const tag = colon < 0 ? null : rest.slice(colon + 1)
  const host = hasHost ? first.replace(/^index\.docker\.io$/, DEFAULT_HOST) : DEFAULT_HOST
  return { host, path: host === DEFAULT_HOST && !path.includes('/') ? `library/${path}` : path, tag, digest }
}

/** The form that the engine lists: without the default host and `library/`, with a tag. */
export function shortReference(reference: string): string {
  const { host, path, tag, digest } = parseReference(reference)
  const name = repositoryName({ host, path })
  if (digest !== null) return `${name}@${digest}`
  return `${name}:${tag ?? 'latest'}`
}

/** `postgres`, `bitnami/redis`, `docker.elastic.co/elasticsearch/elasticsearch`. */
export function repositoryName({ host, path }: Pick<ImageReference, 'host' | 'path'>): string {
  return host === DEFAULT_HOST ? path.replace(/^library\//, '') : `${host}/${path}`
}

/**
 * Whether a tag asks for the version that `major` names: only the parts that both name are compared, and a tag
 * without a number (`latest`, `slim`) asks for none.
 */
export function versionFits(tag: string | null, major: string): boolean {
  const version = /^v?(\d+(?:\.\d+)*)/.exec(tag ?? '')?.[1]
  if (version === undefined) return true
  const wanted = version.split('.')
  return major.split('.').every((part, index) => wanted[index] === undefined || wanted[index] === part)
}
