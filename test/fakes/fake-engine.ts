import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../src/core/error.js'
import type { Operation } from '../../src/core/plan.js'
import { checkServices } from '../../src/core/project.js'
import type { Dependency, Health, Instance, Project, Service, WatchRule } from '../../src/core/project.js'
import type {
  ApplyContext,
  Engine,
  EngineEvent,
  FileChange,
  LogRecord,
} from '../../src/orchestrator/ports.js'

/** A service of the make-believe project. Times are milliseconds. */
export interface FakeService {
  readonly name: string
  readonly dependsOn?: readonly Dependency[]
  /** Healthy this long after its start. Without it the service has no health check. */
  readonly healthyAfter?: number
  /** Ends this long after its start with this code. */
  readonly ends?: { readonly after: number; readonly exitCode: number }
  readonly oneShot?: boolean
  /** What its build context holds: path in the container -> text. A service with it is built. */
  readonly sources?: Readonly<Record<string, string>>
  readonly buildTakes?: number
  readonly watch?: readonly WatchRule[]
}

export interface FakeEngineOptions {
  readonly name: string
  readonly services: readonly FakeService[]
}

/** The engine, and what a test may do to it behind devstack's back. */
export interface FakeEngine extends Engine {
  /** The service's process ends by itself. */
  crash(service: string, exitCode: number, options?: { readonly oomKilled?: boolean }): void
  /** The next operation of this kind about this service fails. */
  failNext(kind: Operation['kind'], service: string, error: DevstackError): void
  /** The engine stops answering, and answers again. */
  lose(): void
  recover(): void
  /** The service's process prints a line. */
  print(service: string, text: string): void
  readFile(service: string, path: string): string | null
  /** Changes the service's configuration hash, as an edit of its file does. */
  reconfigure(service: string): void
  /** What is there: containers, networks, volumes. */
  things(): readonly string[]
  /** What was done, in order: `start db`. */
  readonly log: readonly string[]
  /** A new engine object over the same containers, as the next process sees them. */
  reopen(): FakeEngine
}

interface Container {
  instance: Instance
  readonly files: Map<string, string>
  readonly lines: LogRecord[]
  timers: NodeJS.Timeout[]
}

/** Everything that outlives an engine object. */
interface World {
  readonly options: FakeEngineOptions
  readonly containers: Map<string, Container>
  readonly images: Map<string, string>
  readonly listeners: Set<(event: EngineEvent | LogRecord) => void>
  readonly faults: Map<string, DevstackError>
  readonly revisions: Map<string, number>
  readonly log: string[]
  readonly extras: Set<string>
  lost: boolean
  count: number
}

/** Keeps its whole state in memory and behaves as the engines do; only time is real. */
export function createFakeEngine(options: FakeEngineOptions): FakeEngine {
  return openWorld({
    options,
    containers: new Map(),
    images: new Map(),
    listeners: new Set(),
    faults: new Map(),
    revisions: new Map(),
    log: [],
    extras: new Set(),
    lost: false,
    count: 0,
  })
}

function openWorld(world: World): FakeEngine {
  const { options } = world
  return {
    kind: 'compose',
    async resolve(request, _emit, signal) {
      await answer(world, signal)
      const project = toProject(world)
      checkServices(request.services, Object.keys(project.services))
      const built = Object.values(project.services).filter(({ build }) => build !== null)
      const hashes = built.flatMap(({ name }) => {
        const hash = world.images.get(name)
        return hash === undefined ? [] : [[name, hash] as const]
      })
      return { project, images: [], builtHashes: Object.fromEntries(hashes) }
    },
    async observe(signal) {
      await answer(world, signal)
      return { instances: [...world.containers.values()].map(({ instance }) => instance) }
    },
    apply: (operation, run) => applyFake(world, operation, run),
    async deliver(instance, changes, signal) {
      await answer(world, signal)
      return await deliverFake(world, instance, changes)
    },
    async manifest(instance, signal) {
      await answer(world, signal)
      const sources = sourcesOf(world, instance.service)
      if (sources === null) return null
      return Object.fromEntries(Object.entries(sources).map(([path, text]) => [path, sha256(text)]))
    },
    async exec(request, signal) {
      await answer(world, signal)
      requireRunning(world, request.service)
      return request.argv[0] === 'false' ? 1 : 0
    },
    events: (signal) => eventsOf(world, signal),
    logs: (request, signal) => logsOf(world, request, signal),
    async usage(instances, signal) {
      await answer(world, signal)
      return instances.map((instance) => ({ instance, cpu: null, memoryBytes: null }))
    },
    crash: (service, exitCode, { oomKilled = false } = {}) => {
      for (const container of of(world, service)) end(world, container, exitCode, oomKilled)
    },
    failNext: (kind, service, error) => world.faults.set(`${kind} ${service}`, error),
    lose: () => {
      world.lost = true
      tell(world, { type: 'lost', cause: 'scripted' })
    },
    recover: () => {
      world.lost = false
      tell(world, { type: 'connected' })
    },
    print: (service, text) => {
      for (const container of of(world, service)) printLine(world, container, text)
    },
    readFile: (service, path) => of(world, service)[0]?.files.get(path) ?? null,
    reconfigure: (service) => world.revisions.set(service, (world.revisions.get(service) ?? 0) + 1),
    things: () => [...[...world.containers.values()].map(({ instance }) => instance.name), ...world.extras],
    log: world.log,
    reopen: () => openWorld(world),
  } satisfies FakeEngine & { readonly kind: 'compose' }

  function toProject({ revisions }: World): Project {
    const services = options.services.map((service): [string, Service] => [
      service.name,
      toService(service, revisions.get(service.name) ?? 0),
    ])
    return {
      name: options.name,
      engine: 'compose',
      folder: '/fake',
      files: [],
      services: Object.fromEntries(services),
    }
  }
}

function toService(service: FakeService, revision: number): Service {
  const { name, dependsOn = [], oneShot = false, healthyAfter, sources, watch = [] } = service
  return {
    name,
    image: `fake-${name}`,
    build:
      sources === undefined
        ? null
        : { context: '/fake', dockerfile: '/fake/Dockerfile', target: null, args: {}, hash: `build-${name}` },
    dependsOn,
    hasHealthCheck: healthyAfter !== undefined,
    oneShot,
    ports: [],
    watch,
    profiles: [],
    restarts: false,
    replicas: 1,
    configHash: `${name}-${String(revision)}`,
    at: null,
  }
}

// ---- operations ---------------------------------------------------------------------------------------------------

async function applyFake(world: World, operation: Operation, run: ApplyContext): Promise<void> {
  await answer(world, run.signal)
  for (const service of operation.services) {
    const fault = world.faults.get(`${operation.kind} ${service}`)
    if (fault === undefined) continue
    world.faults.delete(`${operation.kind} ${service}`)
    throw fault
  }
  world.log.push(operation.kind === 'create' ? `create ${operation.services.join(' ')}` : operation.id)
  switch (operation.kind) {
    case 'pullImage':
    case 'buildImage':
      return
    case 'buildService':
      await build(world, operation.service, run)
      return
    case 'create':
      for (const service of operation.services) create(world, service)
      return
    case 'start':
      start(world, operation.service)
      return
    case 'stop':
      for (const service of operation.services) {
        for (const container of of(world, service)) end(world, container, operation.force ? 137 : 143, false)
      }
      return
    case 'remove':
      for (const container of world.containers.values()) remove(world, container)
      world.extras.delete('network')
      if (operation.volumes) world.extras.delete('volume')
      return
  }
}

async function build(world: World, service: string, run: ApplyContext): Promise<void> {
  const { buildTakes = 0 } = definition(world, service)
  run.progress({ text: 'RUN', step: 1, steps: 1, percent: 0, bytes: null, totalBytes: null })
  await pause(buildTakes, run.signal)
  world.images.set(service, `build-${service}`)
}

function create(world: World, service: string): void {
  const configHash = toService(definition(world, service), world.revisions.get(service) ?? 0).configHash
  const [old] = of(world, service)
  const imageId = `image-${service}`
  if (old !== undefined && old.instance.configHash === configHash && old.instance.imageId === imageId) return
  if (old !== undefined) remove(world, old)
  world.extras.add('network').add('volume')
  world.count++
  const id = `${service}-${String(world.count)}`
  const instance: Instance = {
    id,
    service,
    name: `${world.options.name}-${service}-1`,
    state: 'created',
    health: 'none',
    exitCode: null,
    oomKilled: false,
    restarts: 0,
    startedAt: null,
    configHash,
    imageId,
    wantedImageId: imageId,
    buildHash: world.images.get(service) ?? null,
  }
  const files = new Map(Object.entries(definition(world, service).sources ?? {}))
  world.containers.set(id, { instance, files, lines: [], timers: [] })
}

function start(world: World, service: string): void {
  const { healthyAfter, ends } = definition(world, service)
  for (const container of of(world, service)) {
    if (container.instance.state === 'running') continue
    const health: Health = healthyAfter === undefined ? 'none' : 'starting'
    change(container, {
      state: 'running',
      health,
      exitCode: null,
      oomKilled: false,
      startedAt: new Date().toISOString(),
    })
    tell(world, { type: 'started', instance: container.instance })
    if (healthyAfter !== undefined) later(container, healthyAfter, () => becomeHealthy(world, container))
    if (ends !== undefined) later(container, ends.after, () => end(world, container, ends.exitCode, false))
  }
}

function becomeHealthy(world: World, container: Container): void {
  const { id, service } = container.instance
  change(container, { health: 'healthy' })
  tell(world, { type: 'healthChanged', service, instance: id, health: 'healthy', output: null })
}

function end(world: World, container: Container, exitCode: number, oomKilled: boolean): void {
  if (container.instance.state !== 'running') return
  stopTimers(container)
  change(container, { state: 'exited', health: 'none', exitCode, oomKilled })
  const { id, service } = container.instance
  const lastLines = exitCode === 0 ? [] : container.lines.slice(-20).map(({ text }) => text)
  tell(world, { type: 'stopped', service, instance: id, exitCode, oomKilled, lastLines, willRestart: false })
}

function remove(world: World, container: Container): void {
  end(world, container, 143, false)
  stopTimers(container)
  const { id, service } = container.instance
  world.containers.delete(id)
  tell(world, { type: 'removed', service, instance: id })
}

async function deliverFake(
  world: World,
  instance: Instance,
  changes: readonly FileChange[],
): Promise<number> {
  const container = world.containers.get(instance.id)
  if (container === undefined) throw new DevstackError('DELIVERY_FAILED', `${instance.service} is gone`)
  let bytes = 0
  for (const change of changes) {
    if (change.type === 'delete') {
      for (const path of container.files.keys()) {
        if (path === change.target || path.startsWith(`${change.target}/`)) container.files.delete(path)
      }
      continue
    }
    const text = await readFile(change.source, 'utf8')
    container.files.set(change.target, text)
    bytes += Buffer.byteLength(text)
  }
  return bytes
}

// ---- streams --------------------------------------------------------------------------------------------------------

function eventsOf(world: World, signal: AbortSignal): AsyncIterable<EngineEvent> {
  return listen<EngineEvent>(world, signal, [{ type: 'connected' }], (item) => !('stream' in item))
}

function logsOf(
  world: World,
  request: Parameters<Engine['logs']>[0],
  signal: AbortSignal,
): AsyncIterable<LogRecord> {
  const wanted = (service: string): boolean =>
    request.services.length === 0 || request.services.includes(service)
  const past = [...world.containers.values()]
    .filter(({ instance }) => wanted(instance.service))
    .flatMap(({ lines }) => (request.tail === null ? lines : lines.slice(-request.tail)))
  if (!request.follow) return fromArray(past)
  return listen<LogRecord>(world, signal, past, (item) => 'stream' in item && wanted(item.service))
}

async function* fromArray<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values
}

/** Listens from the call on, not from the first `next()`. */
function listen<T extends EngineEvent | LogRecord>(
  world: World,
  signal: AbortSignal,
  first: readonly T[],
  wanted: (item: EngineEvent | LogRecord) => boolean,
): AsyncIterable<T> {
  const queue: T[] = [...first]
  let wake: () => void = () => undefined
  const listener = (item: EngineEvent | LogRecord): void => {
    if (wanted(item)) queue.push(item as T)
    wake()
  }
  world.listeners.add(listener)
  signal.addEventListener('abort', () => wake(), { once: true })
  async function* values(): AsyncGenerator<T> {
    try {
      while (!signal.aborted) {
        const item = queue.shift()
        if (item === undefined) await new Promise<void>((resolve) => (wake = resolve))
        else yield item
      }
    } finally {
      world.listeners.delete(listener)
    }
  }
  return values()
}

// ---- helpers --------------------------------------------------------------------------------------------------------

async function answer(world: World, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await pause(0, signal)
  if (world.lost) throw new DevstackError('ENGINE_GONE', 'the engine went away', { cause: 'scripted' })
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
  signal.throwIfAborted()
}

function definition(world: World, name: string): FakeService {
  const service = world.options.services.find((candidate) => candidate.name === name)
  if (service === undefined) throw new Error(`the fake project has no service ${name}`)
  return service
}

function sourcesOf(world: World, name: string): Readonly<Record<string, string>> | null {
  return definition(world, name).sources ?? null
}

function requireRunning(world: World, service: string): void {
  if (of(world, service).some(({ instance }) => instance.state === 'running')) return
  throw new DevstackError('SERVICE_FAILED', `${service} is not running`, { hint: `devstack up ${service}` })
}

function of(world: World, service: string): readonly Container[] {
  return [...world.containers.values()].filter(({ instance }) => instance.service === service)
}

function change(container: Container, fields: Partial<Instance>): void {
  container.instance = { ...container.instance, ...fields }
}

function later(container: Container, ms: number, work: () => void): void {
  container.timers.push(setTimeout(work, ms))
}

function stopTimers(container: Container): void {
  for (const timer of container.timers) clearTimeout(timer)
  container.timers = []
}

function tell(world: World, item: EngineEvent | LogRecord): void {
  for (const listener of world.listeners) listener(item)
}

function printLine(world: World, container: Container, text: string): void {
  const { id, service } = container.instance
  const record: LogRecord = {
    service,
    instance: id,
    at: new Date().toISOString(),
    stream: 'stdout',
    text,
  }
  container.lines.push(record)
  tell(world, record)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
