import { DevstackError } from '../core/error.js'
import type { LogLine } from '../core/events.js'
import type { Intent } from '../core/intents.js'
import { plan, type Operation } from '../core/plan.js'
import { checkServices, closure, type EngineKind, type Project, type Service } from '../core/project.js'
import { chainWeights } from '../core/schedule.js'
import { applyOperation, execute } from './execute.js'
import { createExpectedStops, type ExpectedStops } from './expected-stops.js'
import { createConnection } from './connection.js'
import { syncInstances } from './instances.js'
import { createLogPump } from './logs.js'
import { resolveProject } from './look.js'
import { rememberDurations, tellOutcome } from './outcome.js'
import type { Clock, DeliveryRecord, Engine, History, LivePreset, Resolution, Sources } from './ports.js'
import { createStore, type Store } from './store.js'
import { createApprovals, type Approvals } from './approvals.js'
import { SUPERSEDED, type Action } from './live/acting.js'
import { createLive, type Live } from './live/live.js'
import { createReplan, PLAN } from './replan.js'

export interface SessionOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly sources: Sources
  readonly record: DeliveryRecord
  /** What is known of a service's kind; null: nothing. */
  readonly preset: (service: Service) => LivePreset | null
  /** Host files that come back from a service's containers, absolute. */
  readonly bringBack: (service: string) => readonly string[]
  readonly history: History
  readonly project: string
  readonly folder: string
  readonly engineKind: EngineKind
  readonly version: string
  readonly pid: number
  /** How long a started service may take to get healthy. */
  readonly healthDeadlineMs: number
}

/** One stack's life: it holds the store and carries out Intents, one at a time. */
export interface Session {
  readonly store: Store
  /** Resolves when the intent was carried out; rejects with DevstackError where it could not be. */
  handle(intent: Intent): Promise<void>
  tails(): Readonly<Record<string, readonly LogLine[]>>
  /** True once an Intent came. */
  readonly used: boolean
  /** Resolves after `down`, `quit` or `leave`, or when {@link Session.end} was called. */
  readonly ended: Promise<void>
  end(reason: string): Promise<void>
}

/** Starts to listen to the engine at once. */
export function createSession(options: SessionOptions): Session {
  return new RunningSession(options)
}

type UpIntent = Extract<Intent, { type: 'up' }>

class RunningSession implements Session {
  readonly store: Store
  readonly ended: Promise<void>
  used = false
  private readonly life = new AbortController()
  private readonly finish: () => void
  private readonly connected: Promise<void>
  private readonly pumps: readonly Promise<void>[]
  private readonly logs
  private readonly live: Live
  private readonly approvals: Approvals
  private batches = 0
  private readonly stops: ExpectedStops
  private project: Project | null = null
  private lastUp: UpIntent = {
    type: 'up',
    services: [],
    profiles: [],
    build: false,
    watch: false,
    freePorts: false,
    autoApply: false,
  }
  private up: { readonly controller: AbortController; readonly done: Promise<void> } | null = null
  private joinable: { readonly key: string; readonly done: Promise<void> } | null = null
  private watching: { readonly key: string; readonly controller: AbortController } | null = null
  private queue: Promise<void> = Promise.resolve()
  private stopController: AbortController | null = null

  constructor(private readonly options: SessionOptions) {
    const { engine, clock, sources, record, preset } = options
    this.store = createStore(clock)
    this.stops = createExpectedStops(engine, this.store)
    this.logs = createLogPump(engine, this.store.emit)
    this.approvals = createApprovals(this.store)
    this.live = createLive({
      engine,
      store: this.store,
      clock,
      sources,
      record,
      preset,
      bringBack: options.bringBack,
      approvals: this.approvals,
      nextBatch: () => (this.batches += 1),
      act: (action, service, _reason, signal) => this.act(action, service, signal),
    })
    const ended = Promise.withResolvers<void>()
    this.ended = ended.promise
    this.finish = ended.resolve
    const { project, folder, engineKind, pid, version } = options
    this.store.emit({ type: 'sessionStarted', project, folder, engine: engineKind, pid, version })
    const connection = createConnection({
      engine,
      store: this.store,
      stops: this.stops,
      known: () => this.project !== null,
      lost: (gone) => this.up?.controller.abort(gone),
    })
    this.connected = connection.connected
    this.pumps = [connection.run(this.life.signal), this.logs.run(this.life.signal)].map((pump) =>
      pump.catch((error: unknown) => this.reportPump(error)),
    )
  }

  tails(): Readonly<Record<string, readonly LogLine[]>> {
    return this.logs.tails()
  }

  async handle(intent: Intent): Promise<void> {
    this.used = true
    switch (intent.type) {
      case 'cancel':
        return this.cancel()
      case 'quit':
        return this.quit(intent.force)
      case 'leave':
        return this.end('left running')
      case 'down':
        await this.cancel()
        return this.enqueue(() => this.down(intent.volumes))
      case 'up':
        return this.joinUp(intent)
      case 'look':
        return this.enqueue(() => this.look())
      case 'recheck':
        if (this.project === null) await this.enqueue(() => this.look())
        return this.live.settle()
      case 'stop':
        return this.enqueue(() => this.stopNamed(intent.services))
      case 'start':
        return this.enqueue(() => this.bringUp(this.again(intent.services)))
      case 'restart':
        return this.enqueue(() => this.restart(intent.services))
      case 'rebuild':
        return this.enqueue(() => this.rebuild(intent.services))
      case 'approve':
        return this.approvals.approve(intent.hold)
    }
  }

  async end(reason: string): Promise<void> {
    if (this.life.signal.aborted) return this.ended
    await this.cancel()
    this.live.end()
    this.watching?.controller.abort()
    this.life.abort(new DevstackError('CANCELLED', 'the session ended'))
    await Promise.allSettled(this.pumps)
    this.store.emit({ type: 'sessionEnded', reason })
    this.finish()
  }

  // ---- intents ------------------------------------------------------------------------------------------------------

  private enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.queue.then(work)
    this.queue = result.catch(() => undefined)
    return result
  }

  /** A second, equal `up` joins the one that is under way. */
  private joinUp(intent: UpIntent): Promise<void> {
    const key = JSON.stringify(intent)
    if (this.joinable?.key === key) return this.joinable.done
    const done = this.enqueue(() => this.bringUp(intent)).finally(() => {
      if (this.joinable?.done === done) this.joinable = null
    })
    this.joinable = { key, done }
    return done
  }

  private async bringUp(intent: UpIntent, giveUp?: AbortSignal): Promise<void> {
    const controller = new AbortController()
    const signals = [controller.signal, this.life.signal, giveUp ?? []].flat()
    const signal = AbortSignal.any(signals)
    this.lastUp = { ...intent, build: false }
    const work = this.upOnce(intent, signal)
    const done = work.catch(() => undefined)
    this.up = { controller, done }
    try {
      await work
    } finally {
      this.up = null
    }
  }

  private async upOnce(intent: UpIntent, signal: AbortSignal): Promise<void> {
    const begin = this.options.clock.monotonic()
    const before = new Set<string>()
    try {
      const resolution = await this.resolve(intent, 'up', signal)
      const { project } = resolution
      const names =
        intent.services.length === 0 ? Object.keys(project.services) : closure(project, intent.services)
      const observed = await this.options.engine.observe(signal)
      syncInstances(this.store, observed)
      for (const service of this.running()) before.add(service)
      this.store.emit({ type: 'upStarted', services: names })
      const { images, builtHashes } = resolution
      const build = intent.build ? named(intent.services, Object.keys(project.services)) : []
      const steps = plan(project, observed, { services: names, images, build, builtHashes })
      this.store.emit({
        type: 'planned',
        operations: steps.operations.map(({ id, label, cause, services }) => ({
          id,
          label,
          cause,
          services,
        })),
      })
      const outcome = await this.execute(steps, project, signal)
      tellOutcome(this.store, outcome, project, Math.round(this.options.clock.monotonic() - begin))
      if (outcome.touched > 0 && outcome.failures.length === 0) {
        // It only orders the next run's starts: a full disk is no reason to fail this one.
        await rememberDurations(this.store, this.options.history).catch(() => undefined)
      }
      if (intent.watch) this.watch(resolution)
    } catch (error) {
      await this.giveUp(error, before, Math.round(this.options.clock.monotonic() - begin))
      throw error
    }
  }

  private async resolve(intent: UpIntent, purpose: 'up' | 'look', signal: AbortSignal): Promise<Resolution> {
    const { services, profiles, freePorts } = intent
    const request = { services, profiles, freePorts, purpose }
    const [resolution] = await Promise.all([
      resolveProject(this.options.engine, this.store, request, signal),
      this.connected,
    ])
    this.project = resolution.project
    return resolution
  }

  private async execute(
    steps: ReturnType<typeof plan>,
    project: Project,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<typeof execute>>> {
    const { clock, history, healthDeadlineMs } = this.options
    const weights = chainWeights(project, steps.operations.length === 0 ? {} : await history.read())
    return execute(steps, {
      engine: this.stops,
      store: this.store,
      clock,
      project,
      signal,
      healthDeadlineMs,
      weight: (name) => weights.get(name) ?? 0,
      beforeStart: async (name, startSignal) => {
        const service = project.services[name]
        if (service !== undefined) await this.live.beforeStart(service, startSignal)
      },
    })
  }

  /** Ends an `up` that failed or was cancelled. A cancelled one stops what it started. */
  private async giveUp(error: unknown, before: ReadonlySet<string>, durationMs: number): Promise<void> {
    // Another one follows at once, and what runs goes on.
    if (error === SUPERSEDED) return
    const cancelled = error instanceof DevstackError && error.code === 'CANCELLED'
    if (cancelled && !this.life.signal.aborted) {
      // What was started last may not have been told yet.
      syncInstances(this.store, await this.options.engine.observe(this.life.signal))
      await this.stop(
        this.running().filter((name) => !before.has(name)),
        false,
      )
    } else if (error instanceof DevstackError) {
      this.store.emit({ type: 'failed', error: error.toInfo() })
    }
    this.store.emit({ type: 'stackFailed', durationMs, cancelled, failures: [] })
  }

  /** An `up` of these services as the last one was asked for. */
  private again(services: readonly string[]): UpIntent {
    return { ...this.lastUp, services }
  }

  private async restart(names: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.stopNamed(names)
    await this.bringUp(this.again(names), signal)
  }

  private async rebuild(names: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.bringUp({ ...this.again(names), build: true }, signal)
  }

  /** What a watch rule asks for. Rejects where the service is not up afterwards. */
  private async act(action: Action, name: string, signal: AbortSignal): Promise<void> {
    await this.enqueue(async () => {
      signal.throwIfAborted()
      await (action === 'restart' ? this.restart([name], signal) : this.rebuild([name], signal))
    })
    // It may have done what a held plan was about.
    if (this.approvals.waits(PLAN)) this.replan([])
    const service = this.store.getState().services[name]
    if (service?.phase !== 'failed') return
    throw new DevstackError('SERVICE_FAILED', `${name} is not up`, { cause: service.cause })
  }

  /** No name: all. Reads the project first where this session has not. */
  private async stopNamed(names: readonly string[]): Promise<void> {
    await this.look()
    const known = Object.keys(this.store.getState().services)
    checkServices(names, known)
    await this.stop(named(names, known), false)
  }

  private async look(): Promise<void> {
    if (this.project !== null) return
    await this.resolve(this.lastUp, 'look', this.life.signal)
    syncInstances(this.store, await this.options.engine.observe(this.life.signal))
  }

  private async stop(services: readonly string[], force: boolean): Promise<void> {
    const alive = services.filter((name) => this.running().includes(name))
    if (alive.length > 0) {
      this.stopController = new AbortController()
      const id = force ? 'kill' : 'stop'
      const operation: Operation = {
        kind: 'stop',
        id,
        label: `${id} ${alive.join(', ')}`,
        cause: 'asked for',
        services: alive,
        dependsOn: [],
        force,
      }
      await this.apply(operation, this.stopController.signal)
    }
    this.store.emit({ type: 'stackStopped', services, removed: false })
  }

  private async down(volumes: boolean): Promise<void> {
    this.watching?.controller.abort()
    // By label, without reading the project's files: what they say may be broken by now.
    const observed = await this.options.engine.observe(this.life.signal)
    const services = [...new Set(observed.instances.map((instance) => instance.service))]
    const operation: Operation = {
      kind: 'remove',
      id: 'remove',
      label: volumes ? 'remove containers, networks and volumes' : 'remove containers and networks',
      cause: 'asked for',
      services,
      dependsOn: [],
      volumes,
    }
    const failure = await this.apply(operation)
    if (failure !== null) throw failure
    this.store.emit({ type: 'stackStopped', services, removed: true })
    await this.end(volumes ? 'down, with volumes' : 'down')
  }

  private async cancel(): Promise<void> {
    const { up } = this
    if (up === null) return
    up.controller.abort(new DevstackError('CANCELLED', 'cancelled'))
    await up.done
  }

  private async quit(force: boolean): Promise<void> {
    this.watching?.controller.abort()
    if (force) this.stopController?.abort(new DevstackError('CANCELLED', 'forced'))
    await this.cancel()
    try {
      await this.enqueue(() => this.stop(this.running(), force))
    } catch (error) {
      // A second, forced quit took over from this one.
      if (error instanceof DevstackError && error.code === 'CANCELLED') return this.ended
      throw error
    }
    await this.end('stopped')
  }

  // ---- helpers ------------------------------------------------------------------------------------------------------

  private apply(operation: Operation, signal: AbortSignal = this.life.signal): Promise<DevstackError | null> {
    return applyOperation(operation, {
      engine: this.stops,
      store: this.store,
      clock: this.options.clock,
      signal,
    })
  }

  private running(): readonly string[] {
    const { services } = this.store.getState()
    return Object.values(services)
      .filter((service) => Object.keys(service.instances).length > 0)
      .map((service) => service.name)
  }

  /** An `up` that changes nothing about what is watched lets the watch go on. */
  private replan: (paths: readonly string[]) => void = () => undefined

  private watch({ project, inputs }: Resolution): void {
    const key = JSON.stringify([project.services, inputs])
    if (this.watching?.key === key && !this.watching.controller.signal.aborted) return
    this.watching?.controller.abort()
    const controller = new AbortController()
    this.watching = { key, controller }
    const replan = createReplan({
      engine: this.options.engine,
      store: this.store,
      approvals: this.approvals,
      bringUp: () => this.bringUp(this.lastUp),
      enqueue: (work) => this.enqueue(work),
    })
    let changed: readonly string[] = []
    this.replan = (paths) => {
      changed = paths.length > 0 ? paths : changed
      void this.enqueue(() => replan(changed, this.lastUp, this.life.signal)).catch((error: unknown) =>
        this.reportPump(error),
      )
    }
    void this.live.watch(project, inputs, this.replan, controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) this.reportPump(error)
    })
  }

  private reportPump(error: unknown): void {
    if (this.life.signal.aborted) return
    if (!(error instanceof DevstackError)) throw error
    this.store.emit({ type: 'failed', error: error.toInfo() })
  }
}

function named(names: readonly string[], all: readonly string[]): readonly string[] {
  return names.length === 0 ? all : names
}
