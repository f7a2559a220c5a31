import type Dockerode from 'dockerode'

/** An image that the engine has. */
export interface EngineImage {
  readonly id: string
  /** In the engine's short form: `postgres:17`. */
  readonly tags: readonly string[]
  /** `postgres@sha256:...` */
  readonly digests: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly size: number
}

/** What this folder asks of an engine. */
export interface ImageEngine {
  images(signal: AbortSignal): Promise<readonly EngineImage[]>
  /** Asks the registry of a reference about it, from the engine's place in the network. Rejects as the engine does. */
  inspectDistribution(reference: string, signal: AbortSignal): Promise<void>
  /** Ids of the images that containers, running or not, were created from. */
  usedImageIds(signal: AbortSignal): Promise<ReadonlySet<string>>
  /** Removes a reference, or an image without one by its id. Never by force. */
  removeImage(reference: string, signal: AbortSignal): Promise<void>
}

interface Modem {
  dial(question: object, done: (error: Error | null | undefined) => void): void
}

/** @param client loaded at the first question: the library is slow to import. */
export function createImageEngine(client: () => Promise<Dockerode>): ImageEngine {
  return {
    async images(abortSignal) {
      const listed = await (await client()).listImages({ abortSignal })
      return listed.map(({ Id, RepoTags, RepoDigests, Labels, Size }) => ({
        id: Id,
        // An untagged image is listed with null here by some engines, as `<none>:<none>` by others.
        tags: ((RepoTags as readonly string[] | null) ?? []).filter((tag) => tag !== '<none>:<none>'),
        digests: RepoDigests ?? [],
        labels: (Labels as Readonly<Record<string, string>> | null) ?? {},
        size: Size,
      }))
    },
    async inspectDistribution(reference, abortSignal) {
      // The library's own call cannot be aborted.
      const { modem } = (await client()) as { readonly modem: Modem }
      await new Promise<void>((resolve, reject) => {
        const question = {
          path: `/distribution/${reference}/json`,
          method: 'GET',
          abortSignal,
          statusCodes: { 200: true },
        }
        modem.dial(question, (error) => {
          if (error === null || error === undefined) resolve()
          else reject(error)
        })
      })
    },
    async usedImageIds(abortSignal) {
      const containers = await (await client()).listContainers({ all: true, abortSignal })
      return new Set(containers.map(({ ImageID }) => ImageID))
    },
    async removeImage(reference, abortSignal) {
      await (await client()).getImage(reference).remove({ force: false, abortSignal })
    },
  }
}
