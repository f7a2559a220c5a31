import { DevstackError } from '../../core/error.js'
import type { Instance, Service } from '../../core/project.js'
import type { Approvals } from '../approvals.js'
import type { Clock, DeliveryRecord, Engine, LivePreset, Sources, SourceScan } from '../ports.js'
import type { Store } from '../store.js'
import { createActing, type Act, type Acting, type Action } from './acting.js'
import { describe, findChanges, type Changes, type HostHashes } from './changes.js'
import { createDelivering, type Delivering } from './delivering.js'
import { createFailures, type Failures } from './failures.js'
import { freshnessOf } from './freshness.js'
import { createLeveling, type Leveling } from './leveling.js'
import type { LiveInstance } from './live-instance.js'
import { createMassDeletes, type MassDeletes } from './mass-deletes.js'
import { createTakeUp, type TakeUp } from './take-up.js'

/** Of what could not be done at all, such as while the engine is away. */
const WORK = 'work'
const RETRY_MS = 2000

export interface LiveOptions {
  readonly engine: Engine
  readonly store: Store
  readonly clock: Clock
  readonly sources: Sources
  readonly record: DeliveryRecord
  readonly approvals: Approvals
  /** Null where nothing is known of such a service. */
  readonly preset: (service: Service) => LivePreset | null
  /** Host files that come back from a service's containers, absolute: as devstack.yaml says. */
  readonly bringBack: (service: string) => readonly string[]
  readonly act: Act
  /** Numbers updates; counts up in a session. */
  readonly nextBatch: () => number
}

/**
 * Keeps one service's instances level with the host and its processes with its files: one thing at a time, until nothing
 * is left to do and a last look by stat finds nothing; only then is it called live.
 */
export class ServiceLive {
  readonly instances = new Map<string, LiveInstance>()
  batch = 0
  readonly failures: Failures
  readonly preset: LivePreset | null
  readonly hashes: HostHashes = new Map()
  private readonly paths = new Set<string>()
  private readonly toLevel = new Set<string>()
  private readonly acting: Acting
  private readonly massDeletes: MassDeletes
  readonly taking: TakeUp
  private readonly delivering: Delivering
  private readonly leveling: Leveling
  private readonly life = new AbortController()
  private lock: Promise<unknown> = Promise.resolve()
  private loop: Promise<void> | null = null
  private unsure = false
  private actingSince = 0
  private told = ''
  private unwatched: string | null = null
  private retry: NodeJS.Timeout | undefined

  constructor(
    readonly options: LiveOptions,
    readonly service: Service,
  ) {
    this.preset = options.preset(service)
    this.acting = createActing(service.name, options.act, (action) => this.acted(action))
    this.massDeletes = createMassDeletes(options, service, () => this.levelAll())
    this.taking = createTakeUp(this)
    this.failures = createFailures(this)
    this.delivering = createDelivering(this)
    this.leveling = createLeveling(this)
  }

  get signal(): AbortSignal {
    return this.life.signal
  }

  end(): void {
    this.life.abort()
    clearTimeout(this.retry)
    this.acting.end()
    for (const live of this.instances.values()) live.detach()
  }

  /** Brings the service's instances level before they start: they never run stale code. */
  async beforeStart(signal: AbortSignal): Promise<void> {
    const { instances } = await this.options.engine.observe(signal)
    const own = instances.filter(({ service, state }) => service === this.service.name && state !== 'dead')
    for (const id of this.instances.keys()) if (!own.some((instance) => instance.id === id)) this.forget(id)
    for (const instance of own) await this.leveling.level(instance, signal)
  }

  /** Brings one instance level whose program waits for it. */
  async level(instance: Instance, signal: AbortSignal): Promise<void> {
    await this.leveling.level(instance, signal)
  }

  /** These paths may have changed; the rest is decided by what is there. */
  changed(paths: readonly string[]): void {
    for (const path of paths) this.paths.add(path)
    if (paths.length > 0) this.kick()
  }

  /** Nobody tells of its files any more, for this reason; null: somebody does again. */
  watchEnded(reason: string | null): void {
    this.unwatched = reason
    this.tell()
  }

  /** Looks again for anything that was not told. */
  recheck(): void {
    this.unsure = true
    this.kick()
  }

  /** As {@link recheck}; resolves when nothing is left to do. */
  async settle(): Promise<void> {
    this.recheck()
    while (this.loop !== null) await this.loop
  }

  instanceStarted(id: string): void {
    this.toLevel.add(id)
    this.kick()
  }

  /** `removed`: it is not there any more, and neither is anything that could be delivered to it. */
  instanceStopped(id: string, removed: boolean): void {
    this.instances.get(id)?.stopped()
    if (removed) this.forget(id)
    this.tell()
  }

  /** A restart or a rebuild is over: what could not be delivered before is there now, or can be. */
  private acted(action: Action): void {
    const { store, clock } = this.options
    const [instance] = Object.keys(store.getState().services[this.service.name]?.instances ?? {})
    if (this.acting.failure === null) {
      if (action === 'rebuild') this.failures.clear()
      const durationMs = Math.round(clock.monotonic() - this.actingSince)
      const about = { batch: this.batch, service: this.service.name, instance: instance ?? '' }
      store.emit({ type: 'reloaded', ...about, what: action, detail: '', durationMs })
    }
    this.levelAll()
    this.recheck()
  }

  /** A service that it needs has a new container, which may have another address. */
  refresh(): void {
    if (this.service.preset !== 'nginx') return
    for (const live of this.instances.values()) live.refresh = live.reloader !== null
    this.kick()
  }

  act(action: Action, reason: string): void {
    if (this.acting.current === null) this.actingSince = this.options.clock.monotonic()
    this.acting.want(action, reason)
    this.tell()
  }

  /** Tells the freshness where it is another than was told last. */
  tell(): void {
    if (this.signal.aborted) return
    const verdict = freshnessOf({
      service: this.options.store.getState().services[this.service.name],
      instances: [...this.instances.values()],
      proves: this.preset !== null,
      acting: this.acting.current,
      busy: this.paths.size + this.toLevel.size > 0 || this.loop !== null,
      failure: this.failures.first ?? this.acting.failure,
      unwatched: this.unwatched,
      held: this.massDeletes.held,
    })
    const text = JSON.stringify([verdict, this.batch])
    if (text === this.told) return
    this.told = text
    this.options.store.emit({
      type: 'freshnessChanged',
      service: this.service.name,
      ...verdict,
      batch: this.batch,
    })
  }

  kick(): void {
    if (this.loop !== null || this.signal.aborted) return
    clearTimeout(this.retry)
    this.loop = this.work().then(
      () => this.rest(),
      (error: unknown) => this.rest(error),
    )
  }

  private rest(error?: unknown): void {
    this.loop = null
    if (this.signal.aborted) return
    if (error !== undefined) {
      if (!(error instanceof DevstackError)) throw error
      // What was to be done is still there: the engine may answer again in a moment.
      this.failures.add('deliver', WORK, { message: error.why ?? error.message, waitsFor: 'another try' })
      this.retry = setTimeout(() => this.kick(), RETRY_MS).unref()
      this.tell()
      return
    }
    this.failures.end(WORK)
    this.tell()
    if (this.hasWork()) this.kick()
  }

  private hasWork(): boolean {
    return this.paths.size + this.toLevel.size > 0
  }

  private levelAll(): void {
    for (const id of this.instances.keys()) this.toLevel.add(id)
    this.kick()
  }

  private async work(): Promise<void> {
    for (;;) {
      this.signal.throwIfAborted()
      if (this.toLevel.size > 0) await this.levelAsked()
      else if (this.paths.size > 0) await this.update()
      else if (await this.taking.next()) continue
      else if (this.unsure) {
        this.unsure = false
        this.changed(await this.options.sources.recheck(this.service, this.signal))
      } else return
    }
  }

  private async levelAsked(): Promise<void> {
    // One that is added meanwhile may not be among those that are looked at now.
    const ids = [...this.toLevel]
    const { instances } = await this.options.engine.observe(this.signal)
    for (const id of ids) {
      this.toLevel.delete(id)
      const instance = instances.find((candidate) => candidate.id === id)
      try {
        if (instance === undefined) this.forget(id)
        else await this.leveling.running(instance)
      } catch (error) {
        this.toLevel.add(id)
        throw error
      }
    }
    this.unsure = true
  }

  private async update(): Promise<void> {
    const paths = [...this.paths]
    this.paths.clear()
    try {
      await this.exclusive(() => this.updateOnce(paths))
    } catch (error) {
      for (const path of paths) this.paths.add(path)
      throw error
    }
    this.unsure = true
  }

  private async updateOnce(paths: readonly string[]): Promise<void> {
    const scan = await this.options.sources.scan(this.service, paths, this.signal)
    this.warn(scan)
    await this.massDeletes.lookAgain(this.signal)
    const lives = [...this.instances.values()]
    const copies = lives.map(({ copy }) => copy)
    const changes = findChanges(this.service, scan, copies, this.hashes)
    if (changes === null) return
    const reason = `${changes.action}: ${changes.rules[0]?.path ?? describe(changes.files)}`
    await this.deliver(changes, lives, reason, this.signal)
  }

  /** Tells what was found, brings it into these instances, and asks for what their rules ask beyond that. */
  async deliver(
    found: Changes,
    lives: readonly LiveInstance[],
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, nextBatch } = this.options
    const { name } = this.service
    this.batch = nextBatch()
    const { files, action, rules, savedAt } = found
    store.emit({ type: 'filesChanged', batch: this.batch, files, savedAt })
    store.emit({ type: 'updateDecided', batch: this.batch, service: name, action, files, reason, rules })
    this.tell()
    const changes = await this.massDeletes.holdBack(found, signal)
    await Promise.all(lives.map((live) => this.delivering.deliver(live, changes, signal)))
    if (action === 'rebuild') this.act('rebuild', reason)
    if (action === 'restart' || action === 'sync+restart') {
      // A container that does not run needs none: it reads everything when it starts.
      if (lives.some(({ running }) => running)) this.act('restart', reason)
    }
  }

  forget(id: string): void {
    this.instances.get(id)?.detach()
    this.instances.delete(id)
    this.leveling.forget(id)
  }

  private readonly warned = new Set<string>()

  warn({ refused }: SourceScan): void {
    for (const { path, reason } of refused) {
      const text = `${this.service.name}: ${JSON.stringify(path)} is not delivered: ${reason}`
      if (this.warned.has(text)) continue
      this.warned.add(text)
      this.options.store.emit({ type: 'warned', message: text, hint: null, place: null })
    }
  }

  /** Scans and deliveries never overlap: the later one always knows what the earlier one did. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.lock.then(work, work)
    this.lock = result.catch(() => undefined)
    return await result
  }
}
