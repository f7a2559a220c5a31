import { join } from 'node:path'
import { createHistory } from '../host/history.js'
import { writePrivateFile } from '../host/project/state.js'
import { listen, serve } from '../host/session/server.js'
import { createDeliveryRecord } from '../host/deliveries.js'
import { createSources } from '../host/watch/sources.js'
import type { Engine, InstanceUsage } from '../orchestrator/ports.js'
import { createSession, type Session } from '../orchestrator/session.js'
import { systemClock } from './clock.js'
import { rememberServices } from './early-source.js'
import { presetOf } from './presets.js'
import { createEngine, type Learned } from './engine.js'
import { packagePath, serverFile, type StackRef } from './stack.js'
import { build, version } from './version.js'

/** devstack's own files for containers, in the package. */
const SUPPORT = 'src/presets'

const HEALTH_DEADLINE_MS = 5 * 60_000

export interface RunSessionOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** False inside a short command. */
  readonly lasting: boolean
  /** Called once clients can connect. */
  readonly onListening?: (session: Session) => void
  /** Hands over what ends the session and leaves the stack running. */
  readonly onStop?: (stop: () => void) => void
}

/**
 * Holds a stack: takes its socket, runs the session and serves it until it ends.
 * @throws DevstackError LOCKED where another session holds it.
 */
export async function runSession(stack: StackRef, options: RunSessionOptions): Promise<void> {
  const server = await listen(stack.socketPath)
  // By its owner alone, and before anybody is greeted: who joins compares it.
  if (options.lasting) await writePrivateFile(serverFile(stack.stateFolder), stack.server)
  const learned: Learned = { wrapped: new Set(), bringBack: stack.bringBack }
  const engine = await createEngine(stack, options.env, learned)
  const support = packagePath(SUPPORT)
  const { server: answers } = stack
  const session = createSession({
    engine,
    clock: systemClock,
    sources: createSources(),
    record: createDeliveryRecord(join(stack.stateFolder, 'delivered')),
    bringBack: (service) => learned.bringBack[service] ?? [],
    preset: (service) =>
      presetOf(service, { support, server: answers, wrapped: learned.wrapped.has(service.name) }),
    history: createHistory(join(stack.stateFolder, 'history.json')),
    project: stack.name,
    folder: stack.folder,
    engineKind: stack.engine,
    version,
    pid: process.pid,
    healthDeadlineMs: HEALTH_DEADLINE_MS,
  })
  rememberServices(session.store, stack.stateFolder)
  options.onStop?.(() => void session.end('terminated'))
  const serving = serve(server, session, {
    version,
    build,
    lasting: options.lasting,
    usage: async () => {
      const { services } = session.store.getState()
      return await usageOf(
        engine,
        Object.values(services).flatMap((service) => Object.keys(service.instances)),
      )
    },
  })
  options.onListening?.(session)
  await serving
}

const USAGE_MS = 5000

/** An engine that does not answer in time costs the figures, and not the session. */
async function usageOf(engine: Engine, instances: readonly string[]): Promise<readonly InstanceUsage[]> {
  const limit = AbortSignal.timeout(USAGE_MS)
  try {
    return await engine.usage(instances, limit)
  } catch (error) {
    if (!limit.aborted) throw error
    return instances.map((instance) => ({ instance, cpu: null, memoryBytes: null }))
  }
}
