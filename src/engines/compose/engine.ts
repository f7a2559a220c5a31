import type { WatchRule } from '../../core/project.js'
import type { Engine, EngineEvent } from '../../orchestrator/ports.js'
import { apply } from './apply.js'
import { createCommand, findCompose } from './command.js'
import { createContainerFiles } from './container-files.js'
import { createDeliverer } from './deliver.js'
import type { Deliverer } from './deliver.js'
import { createDocker } from './docker.js'
import { readEvents } from './events.js'
import { watchContainers } from './event-stream.js'
import { execInService } from './exec.js'
import { createImageKit } from './image-kit.js'
import { openInside, runToEnd } from './inside.js'
import { readLogs } from './logs.js'
import { readManifest } from './manifest.js'
import { observe } from './observe.js'
import type { ComposeEngineOptions, EngineContext } from './options.js'
import { createPendingDeletes } from './pending.js'
import { createRemover } from './remove.js'
import { resolve } from './resolve.js'
import type { Resolved } from './resolve.js'
import { createUsageReader } from './usage.js'

export type { ComposeEngineOptions } from './options.js'

/** The engine that runs a stack with Docker Compose. Opens and starts nothing by itself. */
export function createComposeEngine(options: ComposeEngineOptions): Engine {
  const command = createCommand(
    options.composeCommand ?? findCompose(options.env),
    options.env,
    options.endpoint,
  )
  const docker = createDocker(options.endpoint)
  const deliverer = createDeliverer({
    docker,
    files: createContainerFiles(docker),
    remover: createRemover(docker),
    pending: createPendingDeletes(options.stateFolder),
  })
  const images = createImageKit(options, docker)
  const context: EngineContext = { options, docker, command, deliverer, images }
  const project = options.projectName
  const usage = createUsageReader(docker)
  let resolved: Resolved | null = null
  return {
    kind: 'compose',
    away: { name: 'Docker engine', hint: 'start it again (devstack doctor --fix)' },
    async resolve(request, emit, signal) {
      resolved = await resolve(context, request, emit, signal)
      return resolved.resolution
    },
    observe: (signal) => observe(context, signal),
    apply: (operation, run) => apply(context, resolved, operation, run),
    deliver: (instance, changes, signal) =>
      deliverer.deliver(instance, changes, rulesOf(resolved, instance.service), signal),
    open: (instance, request, signal) => openInside(docker, instance, request, signal),
    run: (instance, request, output, signal) => runToEnd(docker, instance, request, output, signal),
    manifest: (instance, signal) =>
      readManifest(docker, resolved?.resolution.project ?? null, instance, signal),
    exec: (request, signal) => execInService(context, request, signal),
    events: (signal) =>
      deletingAtStart(
        deliverer,
        readEvents(docker, project, signal, watchContainers(docker, project, signal)),
        signal,
      ),
    logs: (request, signal) => readLogs(docker, project, request, signal),
    usage,
  }
}

function rulesOf(resolved: Resolved | null, service: string): readonly WatchRule[] {
  return resolved?.resolution.project.services[service]?.watch ?? []
}

/** Also a container that the engine itself or somebody else started loses what was to be deleted in it. */
async function* deletingAtStart(
  deliverer: Deliverer,
  events: AsyncIterable<EngineEvent>,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  for await (const event of events) {
    if (event.type === 'started') {
      const { id, service } = event.instance
      // What fails waits on: the next delivery tries again and tells.
      await deliverer.started(id, service, signal).catch(() => undefined)
    }
    yield event
  }
}
