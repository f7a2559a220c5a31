import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DevstackError } from '../core/error.js'
import type { ImageSource } from '../core/images.js'
import type { EngineKind } from '../core/project.js'
import type { WatchEntry } from '../core/watch.js'
import type { ImageEngine } from '../engines/images/engine.js'
import { claimProject, engineState } from '../host/project/claim.js'
import { findProject, type FoundProject } from '../host/project/find.js'
import { wantedName } from '../host/project/name.js'
import { socketPath } from '../host/project/socket.js'
import { stateRoot } from '../host/project/state.js'
import type { PresetName } from '../presets/preset.js'
import type { Server } from './io.js'
import { kubernetesRef, loginName, type KubernetesRef } from './kubernetes.js'
import type { CommandContext } from './commands.js'
import { build } from './version.js'

type Environment = Readonly<Record<string, string | undefined>>

/** Everything that names one stack: serialisable, so that the session's process is handed it. */
export interface StackRef {
  readonly name: string
  readonly engine: EngineKind
  readonly folder: string
  readonly composeFiles: readonly string[]
  readonly primary: boolean
  /** Absolute; of this project, worktree and engine. */
  readonly stateFolder: string
  readonly socketPath: string
  readonly imageSource: ImageSource
  /** Presets of devstack.yaml, by service. */
  readonly presets: Readonly<Record<string, PresetName>>
  /** devstack.yaml, or null where there is none. */
  readonly configFile: string | null
  /** Absolute paths of what the stack is made of in a cluster: a kustomization or plain YAML; none where it is not said. */
  readonly manifests: readonly string[]
  /** Absolute path of the cluster's configuration for kind; null: one of devstack's own. */
  readonly clusterConfig: string | null
  /** The cluster of `engine: kubernetes`; null for every other engine. */
  readonly kubernetes: KubernetesRef | null
  /** What answers for Flask services: as the last `up` asked for. */
  readonly server: Server
  /** Absolute paths that come back from containers, by service. */
  readonly bringBack: Readonly<Record<string, readonly string[]>>
  /** Watch rules of devstack.yaml, by service. */
  readonly watch: Readonly<Record<string, readonly WatchEntry[]>>
}

/**
 * Finds the project from the current folder upwards and its name and state.
 * @throws DevstackError PROJECT_NOT_FOUND, CONFIG_INVALID, STATE_FOREIGN, UNSUPPORTED
 */
export async function openStack({ io, globals }: CommandContext): Promise<StackRef> {
  const found = await findProject({
    cwd: globals.cwd,
    config: globals.config,
    env: io.env,
    cache: { folder: join(stateRoot(io.env), 'configs'), reader: build },
  })
  const engine = globals.engine ?? found.config?.engine ?? 'compose'
  const { name } = await wantedName(found, globals.projectName)
  const claim = await claimProject({ folder: found.folder, wantedName: name, env: io.env })
  const stateFolder = await engineState(claim, engine)
  return {
    name: claim.name,
    engine,
    folder: found.folder,
    composeFiles: found.composeFiles,
    primary: claim.primary,
    stateFolder,
    socketPath: await socketPath(stateFolder, io.env),
    imageSource: found.config?.images?.source ?? 'auto',
    presets: presetsOf(found),
    configFile: found.configFile,
    manifests: manifestsOf(found, engine),
    clusterConfig: clusterConfigOf(found),
    kubernetes: engine === 'kubernetes' ? kubernetesOf(found, claim.name, name, io.env) : null,
    server: globals.server ?? servedBy(stateFolder),
    watch: watchOf(found),
    bringBack: bringBackOf(found),
  }
}

/** The images of the machine's engine. */
export async function imageEngine(env: Environment): Promise<ImageEngine> {
  const { createDocker } = await import('../engines/compose/docker.js')
  const { createImageEngine } = await import('../engines/images/engine.js')
  const { engineEndpoint } = await import('../host/bootstrap/endpoint.js')
  const docker = createDocker((await engineEndpoint(env)).host)
  return createImageEngine(() => docker.client())
}

/** Which server the session that runs, or else the last one, was started with. */
export function servedBy(stateFolder: string): Server {
  try {
    const text = readFileSync(serverFile(stateFolder), 'utf8')
    return text === 'production' ? text : 'reloader'
  } catch {
    return 'reloader'
  }
}

/** Keeps which server was asked for. */
export function serverFile(stateFolder: string): string {
  return join(stateFolder, 'server')
}

/** A file of the installed package: the bundle lies in its `dist`. */
export function packagePath(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url))
}

/** @throws DevstackError CONFIG_INVALID where the stack is to run in a cluster and nothing says as what */
function manifestsOf({ folder, config, configFile }: FoundProject, engine: EngineKind): readonly string[] {
  const own = engine === 'kubernetes' ? config?.kubernetes?.manifests : undefined
  const named = [own ?? config?.kind?.manifests ?? []].flat()
  if (engine !== 'compose' && named.length === 0)
    throw new DevstackError('CONFIG_INVALID', 'nothing says which manifests the stack is made of', {
      cause: `${configFile ?? 'devstack.yaml'} has no key ${engine}.manifests`,
      hint: `name a kustomization or plain YAML there: ${engine}: { manifests: k8s/overlays/local }`,
    })
  return named.map((path) => resolve(folder, path))
}

function kubernetesOf(
  { config, configFile }: FoundProject,
  name: string,
  wanted: string,
  env: Environment,
): KubernetesRef {
  return kubernetesRef(config, { configFile, name, wanted }, loginName(env))
}

function clusterConfigOf({ folder, config }: FoundProject): string | null {
  const named = config?.kind?.cluster
  return named === undefined ? null : resolve(folder, named)
}

export function presetsOf(found: FoundProject): StackRef['presets'] {
  const services = Object.entries(found.config?.services ?? {})
  return Object.fromEntries(
    services.flatMap(([name, { preset }]) => (preset === undefined ? [] : [[name, preset]])),
  )
}

export function bringBackOf(found: FoundProject): StackRef['bringBack'] {
  const services = Object.entries(found.config?.services ?? {})
  return Object.fromEntries(
    services.map(([name, service]) => [
      name,
      (service.bring_back ?? []).map((path) => resolve(found.folder, path)),
    ]),
  )
}

export function watchOf(found: FoundProject): StackRef['watch'] {
  const services = Object.entries(found.config?.services ?? {})
  return Object.fromEntries(
    services.flatMap(([name, service]) => {
      const rules = service.watch?.map((rule) => ({ ...rule, path: resolve(found.folder, rule.path) }))
      // JSON leaves out what is undefined: the types of the two worlds differ only there.
      return rules === undefined ? [] : [[name, JSON.parse(JSON.stringify(rules)) as readonly WatchEntry[]]]
    }),
  )
}
