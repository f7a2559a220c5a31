import type { SourcePosition } from '../../core/error.js'
import type { ImageSource } from '../../core/images.js'
import type { WatchEntry } from '../../core/watch.js'
import type { Command } from './command.js'
import type { Deliverer } from './deliver.js'
import type { Docker } from './docker.js'
import type { ImageKit } from './image-kit.js'

/** Where a service is built from. */
export interface BuildPlace {
  /** Absolute path. */
  readonly context: string
  /** Relative to the context, or absolute. */
  readonly dockerfile: string
  readonly target: string | null
}

/** What the compose files say that a container runs; null: what its image says. */
export interface OwnCommand {
  readonly entrypoint: readonly string[] | null
  readonly command: readonly string[] | null
}

/** What a container runs instead. An entrypoint alone drops the image's own command, as Compose does. */
export interface CommandOverride {
  readonly entrypoint?: readonly string[] | undefined
  readonly command?: readonly string[] | undefined
}

/** What the Compose engine must know; everything comes from the command line's side. */
export interface ComposeEngineOptions {
  /** Absolute path of the folder that holds the project. */
  readonly folder: string
  /** Absolute paths of the compose files, in their order. */
  readonly files: readonly string[]
  readonly projectName: string
  /** This worktree keeps Compose's own name and the wanted ports; another one gets free ports. */
  readonly primary: boolean
  /** Absolute path of a private folder: the generated override file and the kept ports. */
  readonly stateFolder: string
  /** Where the engine listens: `unix:///var/run/docker.sock`. Handed to every child as DOCKER_HOST. */
  readonly endpoint: string
  /** The environment that compose files are read with. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly images: {
    readonly source: ImageSource
    /** Absolute path of the folder with the image recipes. */
    readonly recipesFolder: string
  }
  /** Who listens on a port of this machine: `postgres (pid 812)`; null where that is not known. */
  readonly portOwner: (port: number) => Promise<string | null>
  /** By service: watch rules of devstack.yaml, paths absolute. */
  readonly watch?: Readonly<Record<string, readonly WatchEntry[]>> | undefined
  /** Where a key of devstack.yaml is written. */
  readonly locateConfig?: ((path: readonly (string | number)[]) => SourcePosition | null) | undefined
  /** The rules of a service's preset, paths absolute; empty where it has none. Asked for services without rules. */
  readonly presetRules?: ((service: string, build: BuildPlace) => Promise<readonly WatchEntry[]>) | undefined
  /** By service: its preset in devstack.yaml. */
  readonly presets?: Readonly<Record<string, string>> | undefined
  /** Absolute paths of other files that the project was read from: devstack.yaml. */
  readonly configFiles?: readonly string[] | undefined
  /** Asked for every service: what its containers run instead of what the project says. Null: nothing else. */
  readonly wrapCommand?:
    | ((service: string, place: BuildPlace | null, own: OwnCommand) => Promise<CommandOverride | null>)
    | undefined
  /** False where its containers are never made: another engine only has images built. Then no port is asked for. */
  readonly publishes?: boolean | undefined
  /** The version of devstack. */
  readonly version: string
  /** The program and first arguments that run Compose; by default found as the command line program finds it. */
  readonly composeCommand?: readonly string[] | undefined
}

/** What the parts of the engine share. */
export interface EngineContext {
  readonly options: ComposeEngineOptions
  readonly docker: Docker
  readonly command: Command
  readonly deliverer: Deliverer
  readonly images: ImageKit
}
