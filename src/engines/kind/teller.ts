import type { Health, Instance } from '../../core/project.js'
import type { EngineEvent } from '../../orchestrator/ports.js'
import type { Gates } from './gates.js'
import { instancesOf, isAlive } from './instances.js'
import { containerNotes, instanceId, parseInstanceId, statusOf } from './pods.js'
import type { ContainerState, Pod } from './pods.js'
import { livenessFailure, readinessOutput, waitingOf } from './waiting.js'
import type { Waiting } from './waiting.js'

/** The last log lines of a container: of its run before the present one with `previous`. */
export type LastLines = (pod: string, container: string, previous: boolean) => Promise<readonly string[]>

interface Told {
  readonly service: string
  readonly container: string
  phase: 'created' | 'running' | 'ended'
  health: Health
}

type Terminated = NonNullable<ContainerState['terminated']>

/**
 * Turns what pods are into what happened to instances: each change once, in order, also where the states between two looks
 * were not seen.
 */
export class PodTeller {
  private readonly told = new Map<string, Told>()
  private readonly waiting = new Map<string, string>()

  constructor(
    private readonly gates: Gates,
    private readonly lastLines: LastLines,
  ) {}

  /** What is there at the beginning: nothing happened to it, but a gate that is shut has to be opened. */
  begin(pods: readonly Pod[]): readonly EngineEvent[] {
    const events: EngineEvent[] = []
    for (const pod of pods.filter(isAlive)) {
      for (const instance of instancesOf(pod, this.gates, {})) {
        const phase = phaseOf(pod, instance)
        if (phase === null) continue
        this.remember(instance, phase)
        if (phase === 'created') events.push({ type: 'created', instance })
      }
    }
    return events
  }

  /** Everything that is there: what is missing is gone. */
  async all(pods: readonly Pod[]): Promise<readonly EngineEvent[]> {
    const uids = new Set(pods.filter(isAlive).map(({ metadata }) => metadata.uid))
    const gone = [...this.told].filter(([id]) => !uids.has(parseInstanceId(id)?.uid))
    const events: EngineEvent[] = gone.map(([id, { service }]) => this.removed(id, service))
    for (const pod of pods) events.push(...(await this.pod(pod)))
    return events
  }

  /** A pod as it is now. */
  async pod(pod: Pod): Promise<readonly EngineEvent[]> {
    if (!isAlive(pod)) return this.gone(pod)
    const events: EngineEvent[] = []
    for (const instance of instancesOf(pod, this.gates, {}))
      events.push(...(await this.instance(pod, instance)))
    events.push(...this.waits(pod))
    return events
  }

  /** A pod that is not there any more, or will not be in a moment. */
  gone(pod: Pod): readonly EngineEvent[] {
    const own = [...this.told].filter(([id]) => parseInstanceId(id)?.uid === pod.metadata.uid)
    return own.map(([id, { service }]) => this.removed(id, service))
  }

  private async instance(pod: Pod, instance: Instance): Promise<readonly EngineEvent[]> {
    const ref = parseInstanceId(instance.id)
    if (ref === null) return []
    const earlier = [...this.told].filter(([id, { container }]) => {
      const other = parseInstanceId(id)
      return other?.uid === ref.uid && container === ref.container && id !== instance.id
    })
    const events: EngineEvent[] = []
    for (const [id, told] of earlier) {
      if (told.phase !== 'ended') events.push(await this.ended(pod, instance, id, told, true))
    }
    const present = await this.present(pod, instance, ref.container)
    // While the new one still waits at its gate, the old one stands for it: the service is started again, and not stopped.
    const phase = this.told.get(instance.id)?.phase ?? null
    if (phase === null || phase === 'created') return [...events, ...present]
    const gone = earlier.map(([id, { service }]) => this.removed(id, service))
    // The new one is there before the old one goes, and is the only one when it ends: nobody may take the old one for alive.
    return [...events, ...present.slice(0, 1), ...gone, ...present.slice(1)]
  }

  private async present(pod: Pod, instance: Instance, container: string): Promise<readonly EngineEvent[]> {
    const phase = phaseOf(pod, instance)
    if (phase === null) return []
    const known = this.told.get(instance.id)
    const told = known ?? this.remember(instance, phase)
    const events: EngineEvent[] = []
    if (phase === 'created') return known === undefined ? [{ type: 'created', instance }] : []
    if (known === undefined || known.phase === 'created') {
      // Also one that ended before anybody saw it run.
      events.push({
        type: 'started',
        instance: { ...instance, state: 'running', exitCode: null, oomKilled: false },
      })
      told.phase = 'running'
    }
    if (phase === 'ended' && (known === undefined || known.phase !== 'ended')) {
      const willRestart = instance.state === 'restarting'
      const previous = statusOf(pod, container)?.state?.terminated === undefined
      events.push(await this.ended(pod, instance, instance.id, told, willRestart, previous))
    }
    events.push(...this.health(pod, instance, told))
    return events
  }

  private health(pod: Pod, instance: Instance, told: Told): readonly EngineEvent[] {
    if (told.phase !== 'running' || instance.health === 'none') return []
    const lost = told.health === 'healthy' && instance.health !== 'healthy'
    const health: Health = lost || told.health === 'unhealthy' ? 'unhealthy' : instance.health
    const now = instance.health === 'healthy' ? 'healthy' : health
    if (now === told.health) return []
    told.health = now
    if (now === 'starting') return []
    const output = now === 'unhealthy' ? readinessOutput(pod, told.container) : null
    return [{ type: 'healthChanged', service: told.service, instance: instance.id, health: now, output }]
  }

  private async ended(
    pod: Pod,
    instance: Instance,
    id: string,
    told: Told,
    willRestart: boolean,
    previous = true,
  ): Promise<EngineEvent> {
    told.phase = 'ended'
    const end = endOf(pod, id, instance)
    const failed = end?.exitCode !== 0
    const printed = failed ? await this.lastLines(pod.metadata.name, told.container, previous) : []
    const killed =
      end?.exitCode === 137 || end?.exitCode === 143 ? livenessFailure(pod, told.container) : null
    const lastLines = killed === null ? printed : [...printed, `(killed by the cluster: ${killed})`]
    return {
      type: 'stopped',
      service: told.service,
      instance: id,
      exitCode: end?.exitCode ?? null,
      oomKilled: end?.reason === 'OOMKilled',
      lastLines,
      willRestart,
    }
  }

  private waits(pod: Pod): readonly EngineEvent[] {
    const waiting = waitingOf(pod)
    return [...new Set(Object.values(containerNotes(pod)).map(({ service }) => service))].flatMap(
      (service): readonly EngineEvent[] => {
        const text = waiting === null ? null : JSON.stringify(waiting)
        if ((this.waiting.get(service) ?? null) === text) return []
        if (text === null) this.waiting.delete(service)
        else this.waiting.set(service, text)
        return [{ type: 'waiting', service, ...told(waiting) }]
      },
    )
  }

  private removed(id: string, service: string): EngineEvent {
    this.told.delete(id)
    return { type: 'removed', service, instance: id }
  }

  private remember(instance: Instance, phase: Told['phase']): Told {
    const container = parseInstanceId(instance.id)?.container ?? ''
    const told = { service: instance.service, container, phase, health: instance.health }
    this.told.set(instance.id, { ...told, health: phase === 'running' ? instance.health : 'none' })
    return this.told.get(instance.id) ?? told
  }
}

/** With what to do where it will not pass: nobody else says it of what happens by itself. */
function told(waiting: Waiting | null): { readonly cause: string | null; readonly final: boolean } {
  if (waiting === null) return { cause: null, final: false }
  const { cause, final, hint } = waiting
  return { cause: final && hint !== null ? `${cause}; ${hint}` : cause, final }
}

/** Null: its container is not there yet. */
function phaseOf(pod: Pod, { id, state }: Instance): Told['phase'] | null {
  switch (state) {
    case 'created':
      return statusOf(pod, parseInstanceId(id)?.container)?.state?.running === undefined ? null : 'created'
    case 'running':
    case 'paused':
      return 'running'
    case 'restarting':
    case 'exited':
    case 'dead':
      return 'ended'
  }
}

/** How an instance ended: the present one, or the one before it; an earlier one is not known any more. */
function endOf(pod: Pod, id: string, present: Instance): Terminated | undefined {
  const ref = parseInstanceId(id)
  const status = statusOf(pod, ref?.container)
  if (ref === null || status === undefined) return undefined
  if (id === present.id) return status.state?.terminated ?? status.lastState?.terminated
  const isBefore = id === instanceId({ ...ref, restartCount: status.restartCount - 1 })
  return isBefore ? status.lastState?.terminated : undefined
}
