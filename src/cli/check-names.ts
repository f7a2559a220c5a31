import { checkServices } from '../core/project.js'
import type { Engine } from '../orchestrator/ports.js'

/**
 * Refuses names that are no services of the project, in any profile.
 * @throws DevstackError UNKNOWN_SERVICE with the nearest name
 */
export async function checkNames(
  engine: Pick<Engine, 'resolve'>,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const look = { services: [], profiles: ['*'], freePorts: false, purpose: 'look' } as const
  const { project } = await engine.resolve(look, () => undefined, signal)
  checkServices(services, Object.keys(project.services))
}

/**
 * As {@link checkNames}, but reads the project, which takes longer than most commands, only for names that have no container.
 * @throws DevstackError UNKNOWN_SERVICE with the nearest name
 */
export async function checkNamesOfContainers(
  engine: Pick<Engine, 'resolve' | 'observe'>,
  services: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (services.length === 0) return
  const { instances } = await engine.observe(signal)
  const there = new Set(instances.map(({ service }) => service))
  const others = services.filter((name) => !there.has(name))
  if (others.length > 0) await checkNames(engine, others, signal)
}
