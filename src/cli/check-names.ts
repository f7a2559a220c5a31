import { checkServices } from '../core/project.js'
import type { Engine } from '../orchestrator/ports.js'

/**
 * Refuses names that are no services of the project, in any profile.
 * @throws DevstackError UNKNOWN_SERVICE with the nearest name
 */
export async function checkNames(engine: Engine, services: readonly string[]): Promise<void> {
  const look = { services: [], profiles: ['*'], freePorts: false, purpose: 'look' } as const
  const { project } = await engine.resolve(look, () => undefined, AbortSignal.timeout(60_000))
  checkServices(services, Object.keys(project.services))
}
