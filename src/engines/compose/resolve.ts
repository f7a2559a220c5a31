import { projectFromCompose } from '../../core/compose.js'
import { DevstackError } from '../../core/error.js'
import type { Emit } from '../../core/events.js'
import { checkServices } from '../../core/project.js'
import type { Project } from '../../core/project.js'
import type { Resolution, ResolveRequest } from '../../orchestrator/ports.js'
import { overrideFile } from './arguments.js'
import { chooseProjectImages } from './image-choice.js'
import type { ProjectImages } from './image-choice.js'
import { indexImages } from './image-index.js'
import type { ImageIndex } from './image-index.js'
import { finishHashes, readHashes } from './hashes.js'
import { inputFiles } from './inputs.js'
import { isInstance, LABEL } from './labels.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { ListedContainer } from './observe.js'
import type { CommandOverride, EngineContext } from './options.js'
import { formatOverride } from './override.js'
import type { ServiceOverride } from './override.js'
import { presetWatch } from './preset-watch.js'
import { projectRoots } from './roots.js'
import { settlePorts } from './ports.js'
import type { PortHolder, SettledPorts } from './ports.js'
import { readModel } from './read-model.js'
import type { ReadModel } from './read-model.js'
import { explainFiles, readSources } from './sources.js'
import { readIfThere } from './state.js'
import { listVolumes, readVolumes } from './volumes.js'
import type { ListedVolume } from './volumes.js'
import { worktreeWarnings } from './warnings.js'
import { wrapCommands } from './wrap-command.js'

/** What {@link resolve} found out; `apply` needs more of it than the orchestrator. */
export interface Resolved {
  readonly resolution: Resolution
  readonly model: ComposeModel
  readonly profiles: readonly string[]
  readonly images: ProjectImages
}

/** Reads the files, chooses images, settles ports and writes the override file. Creates nothing in the engine. */
export async function resolve(
  context: EngineContext,
  request: ResolveRequest,
  emit: Emit,
  signal: AbortSignal,
): Promise<Resolved> {
  try {
    return await resolveOnce(context, request, emit, signal)
  } catch (error) {
    if (!(error instanceof DevstackError) || error.code !== 'CONFIG_INVALID' || hasPlace(error)) throw error
    // Found without the files' text at hand: said again with every other problem, each at its place.
    throw (await explainFiles(context, request.profiles, null)) ?? error
  }
}

function hasPlace(error: DevstackError): boolean {
  return error.at !== null || error.problems.some(({ at }) => at !== null)
}

async function resolveOnce(
  context: EngineContext,
  request: ResolveRequest,
  emit: Emit,
  signal: AbortSignal,
): Promise<Resolved> {
  const file = overrideFile(context)
  // All that does not need the files' contents goes on while Compose reads them.
  const engine = settled(readEngine(context, signal))
  settled(context.images.recipes())
  const before = await readIfThere(file)
  // Most runs change nothing: the hashes are asked for with the last override while the files are read.
  const early = before === null ? null : settled(readHashes(context, request.profiles, signal))
  const read = await readModel(context, request, signal)
  const { model, profiles } = read
  const watch = await presetWatch(context.options, model, read.extensions)
  for (const { message, hint, at } of read.warnings) emit({ type: 'warned', message, hint, place: at })
  const { purpose } = request
  const services = requestedServices(model, request.services)
  const { running, present, volumes } = await engine()
  const draft = await draftProject(context, read, watch, emit)
  const images = await chooseProjectImages(
    context,
    { model, project: draft, present, services, purpose },
    signal,
  )
  const ports = await publishedPorts(context, { model, services, running, request }, emit)
  if (!context.options.primary) warnAboutWorktree(read, emit)
  const { choices } = images
  const volumeLabels = await readVolumes(context, { model, choices, present, volumes, services, purpose })
  const commands = await wrapCommands(context.options, model)
  const text = formatOverride({
    services: overrides(model, images, ports, commands),
    volumeLabels,
    labels: ownLabels(context),
  })
  const asked = profiles.join() === request.profiles.join()
  const hashes = await finishHashes(
    context,
    { text, before, profiles, purpose },
    asked ? early : null,
    signal,
  )
  const project = toProject(context, read, { hashes, images, ports, watch }, null)
  return {
    resolution: {
      project,
      images: choices,
      builtHashes: builtHashes(project, present),
      inputs: inputFiles(context.options, model, read.inputs),
    },
    model,
    profiles,
    images,
  }
}

async function publishedPorts(
  context: EngineContext,
  about: {
    readonly model: ComposeModel
    readonly services: readonly string[]
    readonly running: readonly ListedContainer[]
    readonly request: ResolveRequest
  },
  emit: Emit,
): Promise<SettledPorts> {
  const { model, services, running, request } = about
  if (context.options.publishes === false) return {}
  const holders = portHolders(running, context)
  const { freePorts, purpose } = request
  return await settlePorts({ model, services, holders, freePorts, purpose }, context.options, emit)
}

type Watch = Awaited<ReturnType<typeof presetWatch>>

/** What was decided after the files were read. */
interface Decisions {
  readonly watch: Watch
  readonly hashes?: Readonly<Record<string, string>>
  readonly images?: ProjectImages
  readonly ports?: SettledPorts
}

/** The project before anything is decided: for its watch rules. What makes no sense in them is told with its place. */
async function draftProject(
  context: EngineContext,
  read: ReadModel,
  watch: Watch,
  emit: Emit,
): Promise<Project> {
  try {
    return toProject(context, read, { watch }, emit)
  } catch (error) {
    if (!(error instanceof DevstackError) || hasPlace(error)) throw error
    const { locate, extensions } = await readSources(context, read.profiles)
    return toProject(context, { ...read, locate, extensions }, { watch }, null)
  }
}

/** The project without the decisions first, for its watch rules; then with them. Tells warnings where `emit` is given. */
function toProject(
  context: EngineContext,
  read: ReadModel,
  { hashes, images, ports, watch }: Decisions,
  emit: Emit | null,
): Project {
  const { options } = context
  const { project, problems, warnings } = projectFromCompose(withPorts(read.model, ports ?? {}), {
    name: options.projectName,
    engine: 'compose',
    folder: options.folder,
    files: options.files,
    configHashes: hashes ?? {},
    buildHashes: images?.buildHashes ?? {},
    images: images?.refs ?? {},
    imageHealthChecks: images?.healthChecks ?? {},
    watch: options.watch ?? {},
    presetWatch: watch,
    roots: projectRoots(options, read.inputs),
    ...(options.locateConfig === undefined ? {} : { locateConfig: options.locateConfig }),
    presets: options.presets ?? {},
    extensions: read.extensions,
    locate: read.locate,
  })
  if (problems.length > 0) {
    throw new DevstackError('CONFIG_INVALID', 'the project makes no sense', { problems })
  }
  for (const { message, hint, at } of warnings) emit?.({ type: 'warned', message, hint, place: at })
  return project
}

/** Lets a promise run on while others are awaited: its failure is thrown where it is asked for, never unhandled. */
function settled<T>(promise: Promise<T>): () => Promise<T> {
  promise.catch(() => undefined)
  return () => promise
}

interface EngineState {
  readonly running: readonly ListedContainer[]
  readonly present: ImageIndex
  readonly volumes: readonly ListedVolume[]
}

async function readEngine({ docker, images }: EngineContext, signal: AbortSignal): Promise<EngineState> {
  const [running, present, volumes] = await Promise.all([
    docker.get<readonly ListedContainer[]>('/containers/json', {}, signal),
    images.engine.images(signal),
    listVolumes(docker, signal),
  ])
  return { running, present: indexImages(present), volumes }
}

function portHolders(running: readonly ListedContainer[], context: EngineContext): readonly PortHolder[] {
  return running.map(({ Names, Labels, Ports }) => ({
    container: (Names[0] ?? '').replace(/^\//, ''),
    own: isInstance(Labels) && Labels[LABEL.project] === context.options.projectName,
    ports: Ports.flatMap(({ PublicPort, Type }) =>
      PublicPort === undefined ? [] : [{ port: PublicPort, protocol: Type }],
    ),
  }))
}

/** The named services and what they need; all of the active profiles where none is named. */
function requestedServices(model: ComposeModel, named: readonly string[]): readonly string[] {
  const services = servicesOf(model)
  const known = Object.keys(services)
  checkServices(named, known)
  const found = new Set<string>()
  const visit = (name: string): void => {
    if (found.has(name) || services[name] === undefined) return
    found.add(name)
    for (const dependency of Object.keys(services[name].depends_on ?? {})) visit(dependency)
  }
  for (const name of named.length === 0 ? known : named) visit(name)
  return known.filter((name) => found.has(name))
}

function overrides(
  model: ComposeModel,
  images: ProjectImages,
  ports: SettledPorts,
  commands: Readonly<Record<string, CommandOverride | null>>,
): Readonly<Record<string, ServiceOverride>> {
  return Object.fromEntries(
    Object.entries(servicesOf(model)).map(([name]) => [
      name,
      { image: images.refs[name], ports: ports[name], command: commands[name] },
    ]),
  )
}

function ownLabels(context: EngineContext): Readonly<Record<string, string>> {
  return {
    [LABEL.devstackProject]: context.options.projectName,
    [LABEL.worktree]: context.options.folder,
  }
}

function warnAboutWorktree({ model, locate }: ReadModel, emit: Emit): void {
  for (const { path, message } of worktreeWarnings(model)) {
    emit({
      type: 'warned',
      message,
      hint: 'give it a name of its own for each worktree, or leave the name to Compose',
      place: locate(path),
    })
  }
}

function withPorts(model: ComposeModel, ports: SettledPorts): ComposeModel {
  const services = Object.fromEntries(
    Object.entries(servicesOf(model)).map(([name, service]) => {
      const settledPorts = ports[name]
      return [name, settledPorts === undefined ? service : { ...service, ports: settledPorts }]
    }),
  )
  return { ...model, services }
}

/** {@link LABEL.build} of the present image of each built service; a missing key: no image. */
function builtHashes(project: Project, images: ImageIndex): Readonly<Record<string, string | null>> {
  return Object.fromEntries(
    Object.values(project.services).flatMap((service) => {
      const image = service.build === null ? undefined : images.find(service.image)
      return image === undefined ? [] : [[service.name, image.labels[LABEL.build] ?? null]]
    }),
  )
}
