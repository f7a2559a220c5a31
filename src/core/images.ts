/** Where `images.source` of devstack.yaml takes images from. */
export type ImageSource = 'auto' | 'registry' | 'local'

/** What is done about one wanted image reference, and why. */
export interface ImageChoice {
  /** The reference that the project asks for: `postgres:17`. */
  readonly wanted: string
  /** The reference that is used: the same, or `devstack/postgres:3f2a...` where it is built. */
  readonly ref: string
  readonly action: 'pull' | 'build' | 'reuse'
  readonly origin: 'pulled' | 'built' | 'reused'
  /** The recipe's name (`postgres`), or null where none is used. */
  readonly recipe: string | null
  readonly reason: string
  /** What a reduced build lacks, or null. */
  readonly reduced: string | null
  /** The services that use it, as their image or as a base of their Dockerfile. */
  readonly services: readonly string[]
}
