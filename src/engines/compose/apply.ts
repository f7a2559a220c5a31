import { never } from '../../core/error.js'
import type { Operation } from '../../core/plan.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { buildImage, buildService, pullImage } from './build.js'
import { create } from './create.js'
import { remove, start, stop } from './lifecycle.js'
import type { EngineContext } from './options.js'
import type { Resolved } from './resolve.js'

/** Carries out one operation. `resolved` is null where the project was not read: only stop and remove work then. */
export async function apply(
  context: EngineContext,
  resolved: Resolved | null,
  operation: Operation,
  run: ApplyContext,
): Promise<void> {
  run.signal.throwIfAborted()
  switch (operation.kind) {
    case 'pullImage':
      return await pullImage(context, operation.choice, run)
    case 'buildImage':
      return await buildImage(context, operation.choice, run)
    case 'buildService':
      return await buildService(context, needed(resolved), operation.service, run)
    case 'create':
      return await create(context, needed(resolved), operation.services, run)
    case 'start':
      return await start(context, resolved, operation.service, run)
    case 'stop':
      return await stop(context, resolved, operation.services, operation.force, run)
    case 'remove':
      return await remove(context, resolved, operation.volumes, run)
    default:
      return never(operation)
  }
}

function needed(resolved: Resolved | null): Resolved {
  if (resolved === null) throw new Error('the project was not resolved before it was built or created')
  return resolved
}
