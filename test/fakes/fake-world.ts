import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../src/core/error.js'
import type { BindMount, Dependency, Health, Instance, Service, WatchRule } from '../../src/core/project.js'
import type { ApplyContext, EngineEvent, LogRecord } from '../../src/orchestrator/ports.js'
import type { OpenHandler, RunHandler } from './fake-inside.js'

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
  readonly binds?: readonly BindMount[]
  readonly preset?: string
}

export interface FakeEngineOptions {
  readonly name: string
  readonly services: readonly FakeService[]
  /** Files that the project is read from. */
  readonly inputs?: readonly string[]
}

export interface Container {
  instance: Instance
  readonly files: Map<string, string>
  readonly lines: LogRecord[]
  timers: NodeJS.Timeout[]
}

/** Everything that outlives an engine object. */
export interface World {
  readonly options: FakeEngineOptions
  readonly containers: Map<string, Container>
  readonly images: Map<string, string>
  readonly listeners: Set<(event: EngineEvent | LogRecord) => void>
  readonly faults: Map<string, DevstackError>
  readonly revisions: Map<string, number>
  readonly log: string[]
  readonly extras: Set<string>
  /** Services whose build runs. */
  readonly building: Set<string>
  readonly deliveryFaults: DevstackError[]
  readonly handlers: { open: OpenHandler; run: RunHandler }
  /** Files that the project is read from. */
  readonly inputs: readonly string[]
  lost: boolean
  count: number
}

export function toService(service: FakeService, revision: number): Service {
  const { name, dependsOn = [], oneShot = false, healthyAfter, sources, watch = [], binds = [] } = service
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
    binds,
    preset: service.preset ?? null,
    profiles: [],
    restarts: false,
    replicas: 1,
    configHash: `${name}-${String(revision)}`,
    at: null,
  }
}

// ---- what happens to containers ---------------------------------------------------------------------------------

export async function build(world: World, service: string, run: ApplyContext): Promise<void> {
  const { buildTakes = 0 } = definition(world, service)
  run.progress({ text: 'RUN', step: 1, steps: 1, percent: 0, bytes: null, totalBytes: null })
  world.building.add(service)
  await pause(buildTakes, run.signal).finally(() => world.building.delete(service))
  world.images.set(service, `build-${service}`)
}

export function create(world: World, service: string): void {
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

export function start(world: World, service: string): void {
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

export function end(world: World, container: Container, exitCode: number, oomKilled: boolean): void {
  if (container.instance.state !== 'running') return
  stopTimers(container)
  change(container, { state: 'exited', health: 'none', exitCode, oomKilled })
  const { id, service } = container.instance
  const lastLines = exitCode === 0 ? [] : container.lines.slice(-20).map(({ text }) => text)
  tell(world, { type: 'stopped', service, instance: id, exitCode, oomKilled, lastLines, willRestart: false })
}

export function remove(world: World, container: Container): void {
  end(world, container, 143, false)
  stopTimers(container)
  const { id, service } = container.instance
  world.containers.delete(id)
  tell(world, { type: 'removed', service, instance: id })
}

// ---- helpers --------------------------------------------------------------------------------------------------------

export async function answer(world: World, signal: AbortSignal): Promise<void> {
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

export function sourcesOf(world: World, name: string): Readonly<Record<string, string>> | null {
  return definition(world, name).sources ?? null
}

export function requireRunning(world: World, service: string): void {
  if (of(world, service).some(({ instance }) => instance.state === 'running')) return
  throw new DevstackError('SERVICE_FAILED', `${service} is not running`, { hint: `devstack up ${service}` })
}

export function requireRunningInstance(world: World, { id, service }: Instance): void {
  if (world.containers.get(id)?.instance.state === 'running') return
  throw new DevstackError('EXEC_FAILED', `${service} is not running`, { hint: `devstack up ${service}` })
}

export function of(world: World, service: string): readonly Container[] {
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

export function tell(world: World, item: EngineEvent | LogRecord): void {
  for (const listener of world.listeners) listener(item)
}

export function printLine(world: World, container: Container, text: string): void {
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

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
