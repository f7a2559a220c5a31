import { DevstackError } from '../../core/error.js'
import type { Event } from '../../core/events.js'
import type { Instance, Project, Service } from '../../core/project.js'
import { ruleFor } from '../../core/update.js'
import { REMOVED } from '../instances.js'
import { findChanges, type HostHashes } from './changes.js'
import { ServiceLive, type LiveOptions } from './service-live.js'

export type { LiveOptions } from './service-live.js'

/** Live update of a project: from saved files to processes that run them. */
export interface Live {
  /** Brings a service's instances level before they start. */
  beforeStart(service: Service, signal: AbortSignal): Promise<void>
  /** Brings one instance level whose program waits for it. */
  level(service: Service, instance: Instance, signal: AbortSignal): Promise<void>
  /**
   * Watches the project until aborted; a later call with another project takes over. `inputs`: files that the project was
   * read from; `onInputs` is told of those whose content changed.
   */
  watch(
    project: Project,
    inputs: readonly string[],
    onInputs: (paths: readonly string[]) => void,
    signal: AbortSignal,
  ): Promise<void>
  /** Looks by stat at every watched file; resolves when nothing is left to do. */
  settle(): Promise<void>
  end(): void
}

/** Not a service's name: Compose allows no space in one. */
const INPUTS = 'the project'

export function createLive(options: LiveOptions): Live {
  const services = new Map<string, ServiceLive>()

  /** One that is as it was goes on; rules or mounts that changed begin anew. */
  const adopt = (service: Service): ServiceLive => {
    const known = services.get(service.name)
    if (known !== undefined && sameRules(known.service, service)) return known
    known?.end()
    const made = new ServiceLive(options, service)
    services.set(service.name, made)
    return made
  }

  const inputHashes: HostHashes = new Map()

  const hear = (event: Event): void => {
    if (event.type === 'instanceStarted') {
      for (const other of services.values())
        if (other.service.dependsOn.some(({ service }) => service === event.service)) other.refresh()
    }
    const live = 'service' in event && event.service !== null ? services.get(event.service) : undefined
    if (live === undefined) return
    if (event.type === 'instanceStarted') live.instanceStarted(event.instance)
    else if (event.type === 'instanceStopped') live.instanceStopped(event.instance, event.cause === REMOVED)
    else if (event.type === 'serviceHealthChanged') live.tell()
  }

  return {
    async beforeStart(service, signal) {
      if (service.watch.length > 0) await adopt(service).beforeStart(signal)
    },
    async level(service, instance, signal) {
      if (service.watch.length > 0) await adopt(service).level(instance, signal)
    },
    async watch(project, inputs, onInputs, signal) {
      const { engine, store, sources, record } = options
      const watched = Object.values(project.services).filter(
        ({ watch, oneShot }) => watch.length > 0 && !oneShot,
      )
      const lives = watched.map(adopt)
      for (const [name, live] of services) {
        if (lives.includes(live)) continue
        live.end()
        services.delete(name)
      }
      const { instances } = await engine.observe(signal)
      await record.keep(instances.map(({ id }) => id))
      const own = inputsAsService(inputs)
      inputHashes.clear()
      findChanges(own, await sources.scan(own, null, signal), [], inputHashes)
      const unsubscribe = store.subscribe(hear)
      for (const live of lives) {
        live.watchEnded(null)
        const ids = Object.keys(store.getState().services[live.service.name]?.instances ?? {})
        for (const id of ids) live.instanceStarted(id)
      }
      const warn = (message: string, hint: string | null): void =>
        store.emit({ type: 'warned', message, hint, place: null })
      try {
        for await (const { paths } of sources.watch([...watched, own], warn, signal)) {
          // The first one says that the watch is there: what happened before it may not have been told.
          if (paths.length === 0) for (const live of lives) live.recheck()
          for (const live of lives) live.changed(paths.filter((path) => ruleFor(live.service, path) !== null))
          const mine = paths.filter((path) => inputs.includes(path))
          const scan = mine.length === 0 ? null : await sources.scan(own, mine, signal)
          const changed = scan === null ? null : findChanges(own, scan, [], inputHashes)
          if (changed !== null) onInputs(changed.files)
        }
      } catch (error) {
        const reason = error instanceof DevstackError ? error.message : 'watching failed'
        if (!signal.aborted) for (const live of lives) live.watchEnded(reason)
        throw error
      } finally {
        unsubscribe()
      }
    },
    async settle() {
      await Promise.all([...services.values()].map((live) => live.settle()))
    },
    end() {
      for (const live of services.values()) live.end()
      services.clear()
    },
  }
}

function sameRules(one: Service, other: Service): boolean {
  const facts = ({ watch, binds, preset, build, configHash }: Service): string =>
    JSON.stringify([watch, binds, preset, build?.context ?? null, configHash])
  return facts(one) === facts(other)
}

/** The project's own files, watched by the same rules as everything else. */
function inputsAsService(inputs: readonly string[]): Service {
  return {
    name: INPUTS,
    image: '',
    build: null,
    dependsOn: [],
    hasHealthCheck: false,
    oneShot: false,
    ports: [],
    watch: inputs.map((path) => ({
      action: 'rebuild',
      path,
      target: null,
      ignore: [],
      include: [],
      initialSync: false,
      exec: null,
      at: null,
    })),
    binds: [],
    preset: null,
    profiles: [],
    restarts: false,
    replicas: 0,
    configHash: '',
    at: null,
  }
}
