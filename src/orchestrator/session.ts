import { DevstackError } from '../core/error.js'
import type { LogLine } from '../core/events.js'
import type { Intent } from '../core/intents.js'
import type { Operation } from '../core/plan.js'
import { checkServices, type EngineKind, type Project } from '../core/project.js'
import { createApprovals, type Approvals } from './approvals.js'
import { createBringUp, named, type BringUp, type UpIntent } from './bring-up.js'
import { createConnection } from './connection.js'
import { applyOperation } from './apply-operation.js'
import { createEngineMade, type EngineMade } from './engine-made.js'
import { createExpectedStops, type ExpectedStops } from './expected-stops.js'
import { syncInstances } from './instances.js'
import type { Action } from './live/acting.js'
import { createLive, type Live, type LiveOptions } from './live/live.js'
import { createLogPump } from './logs.js'
import type { History, Resolution } from './ports.js'
import { createReplan, PLAN } from './replan.js'
import { createStore, type Store } from './store.js'

export interface SessionOptions extends Pick<
  LiveOptions,
  'engine' | 'clock' | 'sources' | 'record' | 'preset' | 'bringBack'
> {
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

class RunningSession implements Session {
  readonly store: Store
  readonly ended: Promise<void>
  used = false
  private readonly life = new AbortController()
  private readonly finish: () => void
  private readonly pumps: readonly Promise<void>[]
  private readonly logs
  private readonly live: Live
  private readonly coming: BringUp
  private readonly engineMade: EngineMade
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
  /** Makes the plan again; for no path, for those that were told last. */
  private replan: (paths: readonly string[]) => void = () => undefined

  constructor(private readonly options: SessionOptions) {
    const { engine, clock } = options
    this.store = createStore(clock)
    this.stops = createExpectedStops(engine, this.store)
    this.logs = createLogPump(engine, this.store.emit)
    this.approvals = createApprovals(this.store)
    this.live = createLive({
      ...options,
      store: this.store,
      approvals: this.approvals,
      nextBatch: () => (this.batches += 1),
      act: (action, service, _reason, signal) => this.act(action, service, signal),
    })
    const ended = Promise.withResolvers<void>()
    this.ended = ended.promise
    this.finish = ended.resolve
    const { project, folder, engineKind, pid, version } = options
    this.store.emit({ type: 'sessionStarted', project, folder, engine: engineKind, pid, version })
    this.engineMade = createEngineMade({
      ...options,
      store: this.store,
      stops: this.stops,
      live: this.live,
      life: this.life.signal,
      service: (name) => this.project?.services[name],
      failed: (error) => this.reportPump(error),
    })
    const connection = createConnection({
      engine,
      store: this.store,
      stops: this.stops,
      known: () => this.project !== null,
      created: (instance) => void this.engineMade.start(instance),
      lost: (gone) => this.up?.controller.abort(gone),
    })
    this.coming = createBringUp({
      ...options,
      store: this.store,
      stops: this.stops,
      live: this.live,
      connected: connection.connected,
      life: this.life.signal,
      resolved: (known) => {
        this.project = known
      },
      running: () => this.running(),
      stop: (services) => this.stop(services, false),
    })
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
    this.engineMade.publish()
    const controller = new AbortController()
    const signals = [controller.signal, this.life.signal, giveUp ?? []].flat()
    const signal = AbortSignal.any(signals)
    this.lastUp = { ...intent, build: false }
    const work = this.coming.up(intent, signal)
    const done = work.then(
      () => undefined,
      () => undefined,
    )
    this.up = { controller, done }
    try {
      const resolution = await work
      if (intent.watch) this.watch(resolution)
    } finally {
      this.up = null
    }
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
    await this.coming.resolve(this.lastUp, 'look', this.life.signal)
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
      if (controller.signal.aborted) return
      // The next `up` watches again.
      controller.abort()
      this.reportPump(error)
    })
  }

  private reportPump(error: unknown): void {
    if (this.life.signal.aborted) return
    if (!(error instanceof DevstackError)) throw error
    this.store.emit({ type: 'failed', error: error.toInfo() })
  }
}
