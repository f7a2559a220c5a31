import type { LocateObject, Workload } from '../../../core/kubernetes.js'
import type { CommandOverride } from '../../compose/options.js'

/** What is known about an image that the manifests name. */
export interface ImageDecision {
  /** The reference that the nodes have it by; never one that the manifests name for something else. */
  readonly ref: string
  /** `Never` where it was sent to the nodes: a registry's image of the same name must not take its place. */
  readonly pullPolicy: 'Never' | 'IfNotPresent'
  /** Of the local image. */
  readonly id: string
  readonly buildHash: string | null
  /** What it runs by itself; null where that is not known. */
  readonly config: { readonly entrypoint: readonly string[]; readonly command: readonly string[] } | null
}

/** What was decided after the manifests were read. */
export interface Decisions {
  readonly project: string
  /** The stack's own. */
  readonly namespace: string
  /** Absolute path. */
  readonly worktree: string
  /** Of `projectFromKubernetes`, of the same objects. */
  readonly workloads: readonly Workload[]
  /** By image of the manifests; one that is not here is left as it is. */
  readonly images: Readonly<Record<string, ImageDecision>>
  /** By service: what its container runs instead of what the manifest says. */
  readonly commands: Readonly<Record<string, CommandOverride | null>>
  /** Services whose files are delivered. */
  readonly watched: ReadonlySet<string>
  /** Whether the service's program waits until its files are level. */
  readonly gate: (service: string) => boolean
  readonly locate?: LocateObject | undefined
  /** Somebody else runs the cluster: what reaches out of the namespace there reaches other people. */
  readonly isTeamCluster?: boolean | undefined
}
