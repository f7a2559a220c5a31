import type { Instance, ObservedState } from '../core/project.js'
import type { StackState } from '../core/state.js'
import type { EngineEvent } from './ports.js'
import type { Store } from './store.js'

/** The cause of an instance's end that is not there any more. */
export const REMOVED = 'removed'

/**
 * Makes the store's instances agree with what the engine says: at the start of a session, after a lost stream, and before
 * a plan. What happened unseen is told as Events.
 */
export function syncInstances(store: Store, observed: ObservedState): void {
  const state = store.getState()
  for (const instance of observed.instances) {
    const service = state.services[instance.service]
    if (service === undefined) continue
    const known = service.instances[instance.id]
    if (isAlive(instance)) {
      if (known === undefined || known.startedAt !== instance.startedAt) {
        emitStarted(store, instance)
        // It has ended, and is there only because its engine will start it again.
        if (instance.state === 'restarting') emitStopped(store, instance)
      } else if (known.health !== instance.health && instance.health !== 'none') emitHealth(store, instance)
    } else if (known !== undefined || endedUnseen(state, instance)) {
      emitStopped(store, instance)
    }
  }
  const ids = new Set(observed.instances.map((instance) => instance.id))
  for (const service of Object.values(state.services)) {
    for (const id of Object.keys(service.instances)) {
      if (ids.has(id)) continue
      const goesOn = observed.instances.some((one) => one.service === service.name && waitsToGoOn(one))
      if (!goesOn) store.emit(stoppedEvent(service.name, id, REMOVED, true))
      else if (service.cause === null)
        store.emit({ ...stoppedEvent(service.name, id, 'ended', false), willRestart: true })
    }
  }
}

/** Tells an engine's event as an Event. `requested`: devstack itself is stopping the service. */
export function tellEngineEvent(
  store: Store,
  event: Exclude<EngineEvent, { type: 'connected' | 'lost' | 'created' }>,
  requested: boolean,
): void {
  switch (event.type) {
    case 'started':
      emitStarted(store, event.instance)
      break
    case 'healthChanged': {
      const { service, instance, health, output } = event
      const known = store.getState().services[service]?.instances[instance]
      if (known !== undefined && known.health !== health)
        store.emit({ type: 'serviceHealthChanged', service, instance, health, output })
      break
    }
    case 'stopped': {
      const { service, instance, exitCode, oomKilled, lastLines, willRestart } = event
      const cause = stopCause(exitCode, oomKilled)
      store.emit({
        type: 'instanceStopped',
        service,
        instance,
        exitCode,
        oomKilled,
        cause,
        requested,
        willRestart: willRestart && !requested,
        lastLines: requested ? [] : lastLines,
      })
      break
    }
    case 'waiting':
      tellWaiting(store, event)
      break
    case 'removed':
      if (store.getState().services[event.service]?.instances[event.instance] !== undefined)
        store.emit(stoppedEvent(event.service, event.instance, REMOVED, true))
      break
  }
}

function tellWaiting(
  store: Store,
  { service, cause, final }: Extract<EngineEvent, { type: 'waiting' }>,
): void {
  const known = store.getState().services[service]
  if (known === undefined) return
  if (cause === null) {
    if (known.hold !== null) store.emit({ type: 'released', service })
    return
  }
  const reason = final ? `cannot start: ${cause}` : cause
  if (known.hold?.reason !== reason) store.emit({ type: 'held', service, hold: { reason, on: [] } })
}

function isAlive(instance: Instance): boolean {
  return instance.state === 'running' || instance.state === 'restarting' || instance.state === 'paused'
}

/** The next run of one that ended: its engine has made it, and its program has not begun. */
function waitsToGoOn({ state, restarts }: Instance): boolean {
  return state === 'created' && restarts > 0
}

/** A one-shot that completed, or a service that failed, before this session looked. */
function endedUnseen(state: StackState, instance: Instance): boolean {
  const service = state.services[instance.service]
  const ended = instance.state === 'exited' || instance.state === 'dead'
  return (
    ended &&
    service !== undefined &&
    service.phase === 'pending' &&
    Object.keys(service.instances).length === 0
  )
}

function emitStarted(store: Store, instance: Instance): void {
  const known = store.getState().services[instance.service]?.instances[instance.id]
  const startedAt = instance.startedAt ?? ''
  if (known?.startedAt !== startedAt)
    store.emit({
      type: 'instanceStarted',
      service: instance.service,
      instance: instance.id,
      startedAt,
      restarts: instance.restarts,
    })
  if (instance.health === 'healthy' || instance.health === 'unhealthy') emitHealth(store, instance)
}

function emitHealth(store: Store, instance: Instance): void {
  store.emit({
    type: 'serviceHealthChanged',
    service: instance.service,
    instance: instance.id,
    health: instance.health,
    output: null,
  })
}

function emitStopped(store: Store, instance: Instance): void {
  // These are the codes of `docker stop`: somebody stopped it on purpose before we looked. A one-shot's 0 is its success.
  const oneShot = store.getState().services[instance.service]?.summary.oneShot === true
  const byHand =
    instance.state !== 'restarting' &&
    [...(oneShot ? [] : [0]), 137, 143].includes(instance.exitCode ?? -1) &&
    !instance.oomKilled
  store.emit({
    ...stoppedEvent(instance.service, instance.id, stopCause(instance.exitCode, instance.oomKilled), byHand),
    exitCode: instance.exitCode,
    oomKilled: instance.oomKilled,
    willRestart: instance.state === 'restarting',
  })
}

function stoppedEvent(service: string, instance: string, cause: string, requested: boolean) {
  return {
    type: 'instanceStopped',
    service,
    instance,
    exitCode: null as number | null,
    oomKilled: false,
    cause,
    requested,
    willRestart: false,
    lastLines: [],
  } as const
}

/** `exited 1`, `killed by signal 9`, `out of memory: ...`: Docker's exit codes above 128 are signals. */
function stopCause(exitCode: number | null, oomKilled: boolean): string {
  if (oomKilled) return 'killed: out of memory (its memory limit is reached)'
  if (exitCode === null) return 'ended'
  if (exitCode > 128 && exitCode < 160) return `exited ${String(exitCode)} (signal ${String(exitCode - 128)})`
  return `exited ${String(exitCode)}`
}
