import type { Progress } from '../../../core/events.js'
import type { Docker } from '../../compose/docker.js'

/** What is needed to make, find and remove the cluster; everything comes from the command line's side. */
export interface ClusterOptions {
  /** Its name for kind: `devstack`. */
  readonly name: string
  /** Absolute path of the folder of all our state. */
  readonly stateRoot: string
  readonly docker: Docker
  /** For kind and the programs that it runs; KUBECONFIG in it is not handed on. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface EnsureOptions extends ClusterOptions {
  /** Reference of a node image that the engine has. */
  readonly image: string
  /** Absolute path of the project's cluster configuration; null: one node, no ports. */
  readonly configFile: string | null
  readonly progress: (progress: Progress) => void
  /** Something that the user should know and that stops nothing. */
  readonly warn: (message: string, hint: string | null) => void
  /** Who listens on a port of this machine. */
  readonly portOwner: (port: number) => Promise<string | null>
  /** The cluster must be made anew, and what is in it will be gone: true to go on. */
  readonly confirmLoss: (why: string) => Promise<boolean>
}
