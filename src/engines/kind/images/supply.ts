import type { Progress } from '../../../core/events.js'
import type { Docker } from '../../compose/docker.js'
import type { EngineImage } from '../../images/engine.js'
import type { Cluster } from '../kube-ports.js'
import { pruneImages } from './prune.js'
import { sendImages } from './send-images.js'

/** An image that pods are made of. */
export interface SuppliedImage {
  /** As the local engine has it. */
  readonly local: string
  /** Of the local image. */
  readonly id: string
  /** As pods name it. */
  readonly node: string
}

export interface Bringing {
  readonly cluster: Cluster
  readonly images: readonly SuppliedImage[]
  readonly progress: (progress: Progress) => void
}

export interface Brought {
  /** Something was missing there. */
  readonly any: boolean
  /** {@link ImageSupply.reference} has other answers now. */
  readonly renamed: boolean
}

/** How images of this machine come to a cluster's nodes. */
export interface ImageSupply {
  /** `Never` where they are sent into the nodes: nobody's image of the same name takes their place. */
  readonly pullPolicy: 'Never' | 'IfNotPresent'
  /** What pods name an image by, as far as that is known now: another one for each image, so that a changed image is a changed pod. */
  reference(ref: string, image: EngineImage): string
  /** @throws DevstackError */
  bring(request: Bringing, signal: AbortSignal): Promise<Brought>
  /** Where another image of a name came, its older ones go; what a container was made from stays. */
  prune(cluster: Cluster, keep: readonly SuppliedImage[], signal: AbortSignal): Promise<void>
}

/** Into nodes that are containers of the same engine, without a registry. */
export function nodeSupply(docker: Docker): ImageSupply {
  return {
    pullPolicy: 'Never',
    reference: (ref, { id }) => `${withoutTag(ref)}:${idTag(id)}`,
    async bring({ cluster, images, progress }, signal) {
      const { references } = await sendImages({ docker, nodes: cluster.nodes, images, progress }, signal)
      return { any: references.length > 0, renamed: false }
    },
    async prune({ nodes }, keep, signal) {
      await pruneImages({ docker, nodes, keep: keep.map(({ node }) => node) }, signal)
    },
  }
}

function withoutTag(ref: string): string {
  return ref.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
}

/** Of an image: `ds-0123456789ab`. */
export function idTag(id: string): string {
  return `ds-${id.replace(/^sha256:/, '').slice(0, 12)}`
}
