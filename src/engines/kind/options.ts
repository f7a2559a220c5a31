import type { EngineKind } from '../../core/project.js'
import type { Engine } from '../../orchestrator/ports.js'
import type { ComposeEngineOptions } from '../compose/options.js'
import type { Docker } from '../compose/docker.js'
import type { ImageKit } from '../compose/image-kit.js'
import type { Connection } from './connection.js'
import type { Gates } from './gates.js'
import type { ImageSupply } from './images/supply.js'
import type { Cluster } from './kube-ports.js'
import type { RegistryOptions } from './registry/supply.js'

/** What the engine must know; everything comes from the command line's side. */
export interface KindEngineOptions {
  /** `kind`: a cluster of ours. `kubernetes`: one that somebody else runs. */
  readonly kind: Exclude<EngineKind, 'compose'>
  /** How the images of the stack are built, and its watch rules: the Compose project of the same folder. */
  readonly compose: ComposeEngineOptions
  /** Absolute paths: a kustomization folder, or plain YAML. */
  readonly manifests: readonly string[]
  /** Of this stack alone. */
  readonly namespace: string
  /** What the namespace must say of who made it, beside the project's label; null: the cluster is ours, and the label is enough. */
  readonly owner: string | null
  /**
   * The cluster, proven to be the one that is meant; null where there is none.
   * @throws DevstackError ENGINE_NOT_RUNNING where it is there and does not run
   */
  readonly cluster: (signal: AbortSignal) => Promise<Cluster | null>
  /** Where images go that the nodes take from there; null: they are sent into the nodes. */
  readonly registry: RegistryOptions | null
  /** Absolute path of the folder with the program that delivers files in pods. */
  readonly agentFolder: string
}

/** What the parts of the engine share. */
export interface KindContext {
  readonly options: KindEngineOptions
  readonly docker: Docker
  readonly images: ImageKit
  /** How images of this machine come to the nodes. */
  readonly supply: ImageSupply
  /** Builds and pulls images; its containers are never made. */
  readonly builder: Engine
  readonly gates: Gates
  readonly connection: Connection
  /** Whether an address of the stack is listened to at this port by this process. */
  readonly holds: (port: number) => boolean
}
