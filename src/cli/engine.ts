import { stat } from 'node:fs/promises'
import type { EngineKind } from '../core/project.js'
import type { ComposeEngineOptions } from '../engines/compose/options.js'
import { findProject, type FoundProject } from '../host/project/find.js'
import type { Engine } from '../orchestrator/ports.js'
import { bringBackOf, packagePath, presetsOf, watchOf, type StackRef } from './stack.js'
import { version } from './version.js'

const AGENT_FOLDER = packagePath('src/engines/kind/inside/agent')

type Environment = Readonly<Record<string, string | undefined>>

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
  const { engineEndpoint } = await import('../host/bootstrap/endpoint.js')
  const { formatOwner, portOwner } = await import('../host/doctor/ports.js')
  const { readHostCa } = await import('../engines/images/host-settings.js')
  const ca = (await readHostCa(env))?.files[0]
  const config = await configReader(stack, env)
  const { wrapped } = learned
  learned.bringBack = stack.bringBack
  const options: ComposeEngineOptions = {
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
    publishes: stack.engine === 'compose',
    version,
  }
  const engine = await ENGINES[stack.engine](stack, options)
  return {
    ...engine,
    async resolve(request, emit, signal) {
      await config.refresh()
      if (stack.kubernetes !== null) await refuseOther(stack, config.current())
      learned.bringBack = config.current().bringBack
      return engine.resolve(request, emit, signal)
    },
  }
}

const ENGINES: Readonly<
  Record<EngineKind, (stack: StackRef, options: ComposeEngineOptions) => Promise<Engine>>
> = {
  compose: composeEngine,
  kind: kindEngine,
  kubernetes: kubernetesEngine,
}

async function composeEngine(_: StackRef, options: ComposeEngineOptions): Promise<Engine> {
  return (await import('../engines/compose/engine.js')).createComposeEngine(options)
}

async function kindEngine(stack: StackRef, compose: ComposeEngineOptions): Promise<Engine> {
  const { createKindEngine } = await import('../engines/kind/engine.js')
  const { findCluster } = await import('../engines/kind/cluster/ensure.js')
  const { clusterOptions, namespaceOf } = await import('./cluster.js')
  const own = await clusterOptions(compose.env)
  return createKindEngine({
    kind: 'kind',
    compose,
    manifests: stack.manifests,
    namespace: namespaceOf(stack.name),
    owner: null,
    registry: null,
    agentFolder: AGENT_FOLDER,
    cluster: (signal) => findCluster(own, signal),
  })
}

/** In a cluster that somebody else runs. */
async function kubernetesEngine(stack: StackRef, compose: ComposeEngineOptions): Promise<Engine> {
  const { createKindEngine } = await import('../engines/kind/engine.js')
  const { teamCluster } = await import('./kubernetes.js')
  const { ref, owner, open } = await teamCluster(stack, compose.env)
  return createKindEngine({
    kind: 'kubernetes',
    compose,
    manifests: stack.manifests,
    namespace: ref.namespace,
    owner,
    registry: { name: ref.registry, env: compose.env },
    agentFolder: AGENT_FOLDER,
    cluster: open,
  })
}

async function refuseOther(stack: StackRef, { config, locate }: Configured): Promise<void> {
  const { refuseOtherPlace } = await import('./kubernetes.js')
  refuseOtherPlace(stack, config, locate)
}

interface Configured extends Pick<StackRef, 'composeFiles' | 'watch' | 'presets' | 'bringBack'> {
  readonly locate: FoundProject['locateConfig']
  /** Null where it is as it was. */
  readonly config: FoundProject['config']
}

/** What devstack.yaml says, read again where it changed while a session runs. */
async function configReader(
  stack: StackRef,
  env: Environment,
): Promise<{ readonly current: () => Configured; readonly refresh: () => Promise<void> }> {
  let current: Configured = { ...stack, locate: null, config: null }
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
        config: found.config,
      }
      seen = stamp
    },
  }
}

async function stampOf(file: string | null): Promise<string> {
  const found = file === null ? null : await stat(file).catch(() => null)
  return found === null ? '' : [found.mtimeMs, found.size, found.ino].join()
}
