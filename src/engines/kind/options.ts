import type { Engine } from '../../orchestrator/ports.js'
import type { ComposeEngineOptions } from '../compose/options.js'
import type { Docker } from '../compose/docker.js'
import type { ImageKit } from '../compose/image-kit.js'
import type { Connection } from './connection.js'
import type { Gates } from './gates.js'
import type { KindCluster } from './kube-ports.js'

/** What the kind engine must know; everything comes from the command line's side. */
export interface KindEngineOptions {
  /** How the images of the stack are built, and its watch rules: the Compose project of the same folder. */
  readonly compose: ComposeEngineOptions
  /** Absolute paths: a kustomization folder, or plain YAML. */
  readonly manifests: readonly string[]
  /** Of this stack alone. */
  readonly namespace: string
  /**
   * The cluster, proven to be ours; null where there is none.
   * @throws DevstackError ENGINE_NOT_RUNNING where it is there and does not run
   */
  readonly cluster: (signal: AbortSignal) => Promise<KindCluster | null>
  /** Absolute path of the folder with the program that delivers files in pods. */
  readonly agentFolder: string
}

/** What the parts of the engine share. */
export interface KindContext {
  readonly options: KindEngineOptions
  readonly docker: Docker
  readonly images: ImageKit
  /** Builds and pulls images; its containers are never made. */
  readonly builder: Engine
  readonly gates: Gates
  readonly connection: Connection
  /** Whether an address of the stack is listened to at this port by this process. */
  readonly holds: (port: number) => boolean
}
