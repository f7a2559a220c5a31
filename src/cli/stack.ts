import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
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
import type { Engine } from '../orchestrator/ports.js'
import type { PresetName } from '../presets/preset.js'
import type { Server } from './io.js'
import type { CommandContext } from './commands.js'
import { build, version } from './version.js'

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
  const engine = engineKind(globals.engine ?? found.config?.engine ?? 'compose')
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
    server: globals.server ?? servedBy(stateFolder),
    watch: watchOf(found),
    bringBack: bringBackOf(found),
  }
}

/** What a session asks of its services while it runs: kept by the engine's own reading of the project. */
export interface Learned {
  /** The services that a reloader runs. */
  readonly wrapped: Set<string>
  /** As {@link StackRef.bringBack}, of devstack.yaml as it is now. */
  bringBack: StackRef['bringBack']
}

/** The engine that runs the stack. Opens nothing yet. `learned` is filled whenever the project is read. */
export async function createEngine(
  stack: StackRef,
  env: Environment,
  learned: Learned = { wrapped: new Set(), bringBack: {} },
): Promise<Engine> {
  const { createComposeEngine } = await import('../engines/compose/engine.js')
  const { engineEndpoint } = await import('../host/bootstrap/endpoint.js')
  const { formatOwner, portOwner } = await import('../host/doctor/ports.js')
  const { readHostCa } = await import('../engines/images/host-settings.js')
  const ca = (await readHostCa(env))?.files[0]
  const config = await configReader(stack, env)
  const { wrapped } = learned
  learned.bringBack = stack.bringBack
  const engine = createComposeEngine({
    folder: stack.folder,
    get files() {
      return config.current().composeFiles
    },
    projectName: stack.name,
    primary: stack.primary,
    stateFolder: stack.stateFolder,
    endpoint: (await engineEndpoint(env)).host,
    // Builds behind a proxy that opens HTTPS need the host's certificates: compose files can name them as a build secret.
    env: ca === undefined ? env : { CA_BUNDLE: ca, ...env },
    images: { source: stack.imageSource, recipesFolder: packagePath('compose/images') },
    get watch() {
      return config.current().watch
    },
    get presets() {
      return config.current().presets
    },
    configFiles: [stack.configFile ?? []].flat(),
    locateConfig: (path) => config.current().locate?.(path) ?? null,
    wrapCommand: async (service, place, own) => {
      const preset = stack.server === 'reloader' ? config.current().presets[service] : undefined
      if (preset !== 'flask') return null
      const command = await (await import('./presets.js')).wrappedCommand(preset, place, own)
      if (command === null) wrapped.delete(service)
      else wrapped.add(service)
      return command
    },
    presetRules: async (service, build) => {
      const preset = config.current().presets[service]
      return preset === undefined ? [] : (await import('./presets.js')).rulesOfPreset(preset, build)
    },
    portOwner: async (port) => {
      const owner = await portOwner(port, { env })
      return owner === null ? null : formatOwner(owner)
    },
    version,
  })
  return {
    ...engine,
    async resolve(request, emit, signal) {
      await config.refresh()
      learned.bringBack = config.current().bringBack
      return engine.resolve(request, emit, signal)
    },
  }
}

interface Configured extends Pick<StackRef, 'composeFiles' | 'watch' | 'presets' | 'bringBack'> {
  readonly locate: FoundProject['locateConfig']
}

/** What devstack.yaml says, read again where it changed while a session runs. */
async function configReader(
  stack: StackRef,
  env: Environment,
): Promise<{ readonly current: () => Configured; readonly refresh: () => Promise<void> }> {
  let current: Configured = { ...stack, locate: null }
  // Where its rules stand is read once, and only where there are some.
  let seen = Object.keys(stack.watch).length > 0 ? null : await stampOf(stack.configFile)
  return {
    current: () => current,
    async refresh() {
      const stamp = await stampOf(stack.configFile)
      if (stamp === seen) return
      const found = await findProject({ cwd: stack.folder, config: stack.configFile, env, cache: null })
      const { composeFiles, locateConfig } = found
      current = {
        composeFiles,
        watch: watchOf(found),
        presets: presetsOf(found),
        bringBack: bringBackOf(found),
        locate: locateConfig,
      }
      seen = stamp
    },
  }
}

async function stampOf(file: string | null): Promise<string> {
  const found = file === null ? null : await stat(file).catch(() => null)
  return found === null ? '' : [found.mtimeMs, found.size, found.ino].join()
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

function engineKind(wanted: string): EngineKind {
  if (wanted === 'compose') return wanted
  throw new DevstackError('UNSUPPORTED', `the engine ${wanted} is not there yet`, {
    hint: '--engine compose',
  })
}

function presetsOf(found: FoundProject): StackRef['presets'] {
  const services = Object.entries(found.config?.services ?? {})
  return Object.fromEntries(
    services.flatMap(([name, { preset }]) => (preset === undefined ? [] : [[name, preset]])),
  )
}

function bringBackOf(found: FoundProject): StackRef['bringBack'] {
  const services = Object.entries(found.config?.services ?? {})
  return Object.fromEntries(
    services.map(([name, service]) => [
      name,
      (service.bring_back ?? []).map((path) => resolve(found.folder, path)),
    ]),
  )
}

function watchOf(found: FoundProject): StackRef['watch'] {
  const services = Object.entries(found.config?.services ?? {})
  return Object.fromEntries(
    services.flatMap(([name, service]) => {
      const rules = service.watch?.map((rule) => ({ ...rule, path: resolve(found.folder, rule.path) }))
      // JSON leaves out what is undefined: the types of the two worlds differ only there.
      return rules === undefined ? [] : [[name, JSON.parse(JSON.stringify(rules)) as readonly WatchEntry[]]]
    }),
  )
}
