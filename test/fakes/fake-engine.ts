import { readFile } from 'node:fs/promises'
import { dirname, resolve as resolvePath } from 'node:path'
import { DevstackError } from '../../src/core/error.js'
import type { Operation } from '../../src/core/plan.js'
import { checkServices } from '../../src/core/project.js'
import type { Instance, Project, Service } from '../../src/core/project.js'
import type {
  ApplyContext,
  Delivery,
  Engine,
  EngineEvent,
  FileChange,
  LogRecord,
} from '../../src/orchestrator/ports.js'
import { openCat, openFake, runTool } from './fake-inside.js'
import type { OpenHandler, RunHandler } from './fake-inside.js'
import {
  answer,
  build,
  create,
  end,
  of,
  printLine,
  remove,
  requireRunning,
  requireRunningInstance,
  sha256,
  sourcesOf,
  start,
  tell,
  toService,
} from './fake-world.js'
import type { FakeEngineOptions, World } from './fake-world.js'

export type { OpenHandler, RunHandler } from './fake-inside.js'
export type { FakeEngineOptions, FakeService } from './fake-world.js'

/** The engine, and what a test may do to it behind devstack's back. */
export interface FakeEngine extends Engine {
  /** The service's process ends by itself. */
  crash(service: string, exitCode: number, options?: { readonly oomKilled?: boolean }): void
  /** The next operation of this kind about this service fails. */
  failNext(kind: Operation['kind'], service: string, error: DevstackError): void
  /** The next deliveries fail, so many times. */
  failNextDelivery(times: number, error?: DevstackError): void
  /** What `open` and `run` start from now on. */
  onOpen(handler: OpenHandler): void
  onRun(handler: RunHandler): void
  /** The engine stops answering, and answers again. */
  lose(): void
  recover(): void
  /** The service's process prints a line. */
  print(service: string, text: string): void
  readFile(service: string, path: string): string | null
  /** The engine makes another instance in place of the service's, as Kubernetes does with a pod: its program waits. */
  replace(service: string): void
  /** The engine says why an instance of the service does not come to start. */
  wait(service: string, cause: string | null, final?: boolean): void
  /** Changes the service's configuration hash, as an edit of its file does. */
  reconfigure(service: string): void
  /** What is there: containers, networks, volumes. */
  things(): readonly string[]
  /** Services whose build runs right now. */
  building(): readonly string[]
  /** What was done, in order: `start db`. */
  readonly log: readonly string[]
  /** A new engine object over the same containers, as the next process sees them. */
  reopen(): FakeEngine
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
    building: new Set(),
    deliveryFaults: [],
    handlers: { open: openCat, run: runTool },
    inputs: options.inputs ?? [],
    lost: false,
    count: 0,
  })
}

function openWorld(world: World): FakeEngine {
  const { options } = world
  return {
    kind: 'compose',
    away: { name: 'fake engine', hint: 'start it' },
    async resolve(request, _emit, signal) {
      await answer(world, signal)
      const project = toProject(world)
      checkServices(request.services, Object.keys(project.services))
      const built = Object.values(project.services).filter(({ build }) => build !== null)
      const hashes = built.flatMap(({ name }) => {
        const hash = world.images.get(name)
        return hash === undefined ? [] : [[name, hash] as const]
      })
      return { project, images: [], builtHashes: Object.fromEntries(hashes), inputs: world.inputs }
    },
    async observe(signal) {
      await answer(world, signal)
      return { instances: [...world.containers.values()].map(({ instance }) => instance) }
    },
    apply: (operation, run) => applyFake(world, operation, run),
    async deliver(instance, changes, signal) {
      await answer(world, signal)
      const fault = world.deliveryFaults.shift()
      if (fault !== undefined) throw fault
      return await deliverFake(world, instance, changes)
    },
    async open(instance, request, signal) {
      await answer(world, signal)
      requireRunningInstance(world, instance)
      return await openFake(instance, request, world.handlers.open, signal)
    },
    async run(instance, request, output, signal) {
      await answer(world, signal)
      requireRunningInstance(world, instance)
      return await world.handlers.run(instance, request, output, signal)
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
    failNextDelivery: (times, error) => {
      const fault = error ?? new DevstackError('DELIVERY_FAILED', 'could not deliver', { cause: 'scripted' })
      for (let count = 0; count < times; count++) world.deliveryFaults.push(fault)
    },
    onOpen: (handler) => {
      world.handlers.open = handler
    },
    onRun: (handler) => {
      world.handlers.run = handler
    },
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
    readFile: (service, path) => readThrough(of(world, service)[0]?.files, path),
    replace: (service) => {
      for (const container of of(world, service)) remove(world, container)
      create(world, service)
      for (const { instance } of of(world, service)) tell(world, { type: 'created', instance })
    },
    wait: (service, cause, final = false) => tell(world, { type: 'waiting', service, cause, final }),
    reconfigure: (service) => world.revisions.set(service, (world.revisions.get(service) ?? 0) + 1),
    things: () => [...[...world.containers.values()].map(({ instance }) => instance.name), ...world.extras],
    building: () => [...world.building],
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
      for (const { instance } of of(world, operation.service))
        if (instance.state === 'created') await run.level?.(instance)
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

async function deliverFake(
  world: World,
  instance: Instance,
  changes: readonly FileChange[],
): Promise<Delivery> {
  const container = world.containers.get(instance.id)
  if (container === undefined) throw new DevstackError('DELIVERY_FAILED', `${instance.service} is gone`)
  const written: Record<string, string> = {}
  const failed: { readonly target: string; readonly cause: string }[] = []
  let bytes = 0
  for (const change of changes) {
    const { target } = change
    switch (change.type) {
      case 'delete':
        for (const path of container.files.keys())
          if (path === target || path.startsWith(`${target}/`)) container.files.delete(path)
        break
      case 'link':
        container.files.set(target, `link:${change.to}`)
        written[target] = sha256(`link:${change.to}`)
        break
      case 'write': {
        const content = await readFile(change.source).catch(() => null)
        if (content === null) {
          failed.push({ target, cause: 'it is gone' })
          break
        }
        container.files.set(target, content.toString('utf8'))
        written[target] = sha256(content)
        bytes += content.length
      }
    }
  }
  return { bytes, written, failed }
}

/** As a program in the container reads it: through links. */
function readThrough(files: ReadonlyMap<string, string> | undefined, path: string): string | null {
  const text = files?.get(path) ?? null
  const to = text === null ? undefined : /^link:(.*)$/s.exec(text)?.[1]
  return to === undefined ? text : readThrough(files, resolvePath(dirname(path), to))
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
