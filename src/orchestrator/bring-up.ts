import { DevstackError } from '../core/error.js'
import type { Intent } from '../core/intents.js'
import { plan, type Plan } from '../core/plan.js'
import { closure, type Project } from '../core/project.js'
import { chainWeights } from '../core/schedule.js'
import { execute, type Outcome } from './execute.js'
import type { ExpectedStops } from './expected-stops.js'
import { syncInstances } from './instances.js'
import { SUPERSEDED } from './live/acting.js'
import type { Live } from './live/live.js'
import { resolveProject } from './look.js'
import { rememberDurations, tellOutcome } from './outcome.js'
import type { Clock, Engine, History, Resolution, ResolveRequest } from './ports.js'
import type { Store } from './store.js'

export type UpIntent = Extract<Intent, { type: 'up' }>

export interface BringUpOptions {
  readonly engine: Engine
  readonly store: Store
  readonly clock: Clock
  readonly history: History
  readonly stops: ExpectedStops
  readonly live: Pick<Live, 'beforeStart' | 'level'>
  /** How long a started service may take to get healthy. */
  readonly healthDeadlineMs: number
  /** The engine's events are heard. */
  readonly connected: Promise<void>
  /** Of the session. */
  readonly life: AbortSignal
  /** The project was read. */
  readonly resolved: (project: Project) => void
  readonly running: () => readonly string[]
  readonly stop: (services: readonly string[]) => Promise<void>
}

/** From the project's files to a stack that is ready, told as Events. */
export interface BringUp {
  /** Rejects where the project cannot be read, or when aborted; a service that fails is told, and is no rejection. */
  up(intent: UpIntent, signal: AbortSignal): Promise<Resolution>
  resolve(intent: UpIntent, purpose: ResolveRequest['purpose'], signal: AbortSignal): Promise<Resolution>
}

export function createBringUp(options: BringUpOptions): BringUp {
  const { engine, store, clock, history, connected, running } = options

  const resolve: BringUp['resolve'] = async (intent, purpose, signal) => {
    const { services, profiles, freePorts } = intent
    const request = { services, profiles, freePorts, purpose }
    const [resolution] = await Promise.all([resolveProject(engine, store, request, signal), connected])
    options.resolved(resolution.project)
    return resolution
  }

  const makePlan = async (
    { project, images, builtHashes }: Resolution,
    intent: UpIntent,
    before: Set<string>,
    signal: AbortSignal,
  ): Promise<Plan> => {
    const names = servicesOf(intent, project)
    const observed = await engine.observe(signal)
    syncInstances(store, observed)
    for (const service of running()) before.add(service)
    store.emit({ type: 'upStarted', services: names })
    const build = intent.build ? named(intent.services, Object.keys(project.services)) : []
    const steps = plan(project, observed, { services: names, images, build, builtHashes })
    const operations = steps.operations.map(({ id, label, cause, services }) => ({
      id,
      label,
      cause,
      services,
    }))
    store.emit({ type: 'planned', operations })
    return steps
  }

  const carryOut = async (steps: Plan, project: Project, signal: AbortSignal): Promise<Outcome> => {
    const weights = chainWeights(project, steps.operations.length === 0 ? {} : await history.read())
    return await execute(steps, {
      engine: options.stops,
      startsByItself: engine.startsByItself,
      store,
      clock,
      project,
      signal,
      healthDeadlineMs: options.healthDeadlineMs,
      weight: (name) => weights.get(name) ?? 0,
      beforeStart: async (name, startSignal) => {
        // What such an engine starts is not there before: `level` is called for each instance.
        const service = engine.startsByItself === true ? undefined : project.services[name]
        if (service !== undefined) await options.live.beforeStart(service, startSignal)
      },
      level: async (instance, startSignal) => {
        const service = project.services[instance.service]
        if (service !== undefined) await options.live.level(service, instance, startSignal)
      },
    })
  }

  return {
    resolve,
    async up(intent, signal) {
      const begin = clock.monotonic()
      const tookMs = (): number => Math.round(clock.monotonic() - begin)
      const before = new Set<string>()
      try {
        const resolution = await resolve(intent, 'up', signal)
        const { project } = resolution
        const steps = await makePlan(resolution, intent, before, signal)
        const outcome = await carryOut(steps, project, signal)
        tellOutcome(store, outcome, project, tookMs())
        if (outcome.touched > 0 && outcome.failures.length === 0) {
          // It only orders the next run's starts: a full disk is no reason to fail this one.
          await rememberDurations(store, history).catch(() => undefined)
        }
        return resolution
      } catch (error) {
        await giveUp(options, error, before, tookMs())
        throw error
      }
    },
  }
}

/** Ends an `up` that failed or was cancelled. A cancelled one stops what it started. */
async function giveUp(
  { engine, store, life, running, stop }: BringUpOptions,
  error: unknown,
  before: ReadonlySet<string>,
  durationMs: number,
): Promise<void> {
  // Another one follows at once, and what runs goes on.
  if (error === SUPERSEDED) return
  const cancelled = error instanceof DevstackError && error.code === 'CANCELLED'
  if (cancelled && !life.aborted) {
    // What was started last may not have been told yet.
    syncInstances(store, await engine.observe(life))
    await stop(running().filter((name) => !before.has(name)))
  } else if (error instanceof DevstackError) {
    store.emit({ type: 'failed', error: error.toInfo() })
  }
  store.emit({ type: 'stackFailed', durationMs, cancelled, failures: [] })
}

/** What an `up` is about: what it names with what that needs, or all. */
export function servicesOf(intent: UpIntent, project: Project): readonly string[] {
  return intent.services.length === 0 ? Object.keys(project.services) : closure(project, intent.services)
}

export function named(names: readonly string[], all: readonly string[]): readonly string[] {
  return names.length === 0 ? all : names
}
