import type { Progress } from '../../../core/events.js'
import type { Docker } from '../../compose/docker.js'
import { isNotFound } from '../../compose/docker.js'
import type { EngineImage } from '../../images/engine.js'
import { parseReference, repositoryName } from '../../images/reference.js'
import type { ImageSupply, SuppliedImage } from '../images/supply.js'
import { idTag } from '../images/supply.js'
import { registryCredentials } from './credentials.js'
import { pushImage } from './push.js'
import type { PushProgress } from './push.js'

export interface RegistryOptions {
  /** `registry.team.example/shop` */
  readonly name: string
  /** Whose logins of docker are used. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * By a registry of the team's: images that were made here are pushed there, and pods name them by the digest that it has them by.
 * What came from another registry is taken from there.
 */
export function registrySupply(docker: Docker, { name: registry, env }: RegistryOptions): ImageSupply {
  /** By id: what this process has pushed. */
  const pushed = new Map<string, string>()
  return {
    pullPolicy: 'IfNotPresent',
    reference: (ref, image) =>
      digestIn(image, ownRepository(ref, image) ?? repositoryIn(registry, ref)) ??
      tagged(registry, ref, image.id),
    async bring({ images, progress }, signal) {
      const lacking = images.filter(
        ({ id, local, node }) =>
          isOf(repositoryIn(registry, local), node) && pushed.get(id) !== repositoryIn(registry, local),
      )
      if (lacking.length === 0) return { any: false, renamed: false }
      const tell = createTeller(lacking, registry, progress)
      const credentials = await registryCredentials(parseReference(`${registry}/x`).host, env, signal)
      await Promise.all(
        lacking.map(async ({ id, local }) => {
          const push = { id, repository: repositoryIn(registry, local), tag: idTag(id), credentials }
          await pushImage(docker, push, (now) => tell(local, now), signal)
          pushed.set(id, push.repository)
        }),
      )
      return { any: true, renamed: true }
    },
    prune: async (_, keep, signal) => await untagOlder(docker, registry, keep, signal),
  }
}

/** `devstack/postgres:17` -> `registry.team.example/shop/devstack/postgres` */
function repositoryIn(registry: string, ref: string): string {
  const { host, path } = parseReference(ref)
  return `${registry}/${host === 'docker.io' ? repositoryName({ host, path }) : path}`
}

function isOf(repository: string, reference: string): boolean {
  return reference.startsWith(`${repository}:`) || reference.startsWith(`${repository}@`)
}

function tagged(registry: string, ref: string, id: string): string {
  return `${repositoryIn(registry, ref)}:${idTag(id)}`
}

/** Where the nodes get it too; null where it was made here: then no registry has it. */
function ownRepository(ref: string, image: EngineImage): string | null {
  if (Object.keys(image.labels).some((label) => MADE_HERE.test(label))) return null
  const repository = repositoryName(parseReference(ref))
  return digestIn(image, repository) === null ? null : repository
}

/** Labels of builds; some engines give a digest to everything that they have, wherever it came from. */
const MADE_HERE = /^(?:dev\.devstack\.|com\.docker\.compose\.)/

function digestIn({ digests }: EngineImage, repository: string): string | null {
  return digests.find((digest) => digest.startsWith(`${repository}@`)) ?? null
}

/** Names of earlier builds on this machine; what the registry keeps of them is the team's to decide. */
async function untagOlder(
  docker: Docker,
  registry: string,
  keep: readonly SuppliedImage[],
  signal: AbortSignal,
): Promise<void> {
  const repositories = new Set(keep.map(({ local }) => repositoryIn(registry, local)))
  const kept = new Set(keep.map(({ local, id }) => tagged(registry, local, id)))
  const filters = { reference: [...repositories].map((repository) => `${repository}:ds-*`) }
  const listed = await docker.get<readonly { readonly RepoTags?: readonly string[] | null }[]>(
    '/images/json',
    { filters },
    signal,
  )
  const client = await docker.client()
  for (const name of listed.flatMap(({ RepoTags }) => RepoTags ?? [])) {
    const [, repository = ''] = /^(.*):ds-[0-9a-f]{12}$/.exec(name) ?? []
    if (!repositories.has(repository) || kept.has(name)) continue
    try {
      await client.getImage(name).remove({ abortSignal: signal })
    } catch (error) {
      signal.throwIfAborted()
      // A container holds the image, or another worktree was faster.
      const { statusCode } = error as { statusCode?: number }
      if (!isNotFound(error) && statusCode !== 409) throw docker.explain(error, `remove the name ${name}`)
    }
  }
}

const TELL_MS = 100

function createTeller(
  images: readonly SuppliedImage[],
  registry: string,
  progress: (progress: Progress) => void,
): (image: string, now: PushProgress) => void {
  const names = images.map(({ local }) => local).join(', ')
  const all = new Map<string, PushProgress>()
  let told = Number.NEGATIVE_INFINITY
  const tell = (bytes: number | null, totalBytes: number | null): void => {
    told = performance.now()
    progress({
      text: `pushing ${names} to ${registry}`,
      step: null,
      steps: null,
      percent: null,
      bytes,
      totalBytes,
    })
  }
  tell(null, null)
  return (image, now) => {
    all.set(image, now)
    if (performance.now() - told < TELL_MS) return
    const sum = (key: keyof PushProgress): number =>
      [...all.values()].reduce((total, one) => total + one[key], 0)
    tell(sum('bytes'), sum('totalBytes'))
  }
}
