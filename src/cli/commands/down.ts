import { DevstackError } from '../../core/error.js'
import type { SessionClient } from '../../host/session/client.js'
import type { CommandContext } from '../commands.js'
import { confirm, print, printJson, type Io } from '../io.js'
import { withSession } from '../launch.js'
import { openStack, type StackRef } from '../stack.js'

/** Stopped nodes are started to be asked who else lives there. */
const CLUSTER_MS = 5 * 60_000

/** `devstack down`: stops and removes what runs; with `--volumes` the data too, after a question. */
export async function down(
  context: CommandContext,
  options: { readonly volumes?: boolean; readonly cluster?: boolean; readonly json?: boolean },
): Promise<number> {
  const { io, globals } = context
  const cluster = options.cluster === true
  if (cluster) await refuseTeamCluster(context)
  const stack = await openStack(cluster ? { io, globals: { ...globals, engine: 'kind' } } : context)
  // The volumes of a cluster go with it.
  const volumes = options.volumes === true || cluster
  if (volumes) {
    const what = cluster ? 'Remove the cluster and with it all data' : 'Delete all data'
    const consent = await confirm(io, `${what} of ${stack.name} (its volumes)?`, globals)
    if (consent === null)
      throw new DevstackError(
        'CONSENT_NEEDED',
        'deleting data asks first, and there is no terminal to ask on',
        {
          hint: `devstack down --${cluster ? 'cluster' : 'volumes'} --yes`,
        },
      )
    if (!consent) return 1
  }
  const begin = performance.now()
  const services = await withSession(stack, io.env, (client) => remove(client, volumes), true)
  const removed = cluster && (await removeCluster(io, stack))
  const seconds = (performance.now() - begin) / 1000
  if (options.json === true)
    printJson(io, {
      project: stack.name,
      engine: stack.engine,
      services,
      volumes,
      ...(cluster ? { cluster: removed } : {}),
      seconds,
    })
  else {
    print(io, summary(stack.name, services, volumes, seconds))
    if (cluster) print(io, removed ? 'the cluster is removed' : 'there was no cluster')
  }
  return 0
}

/** @throws DevstackError USAGE where the stack runs in a cluster that is not ours */
async function refuseTeamCluster(context: CommandContext): Promise<void> {
  const { engine } = context.globals
  const stack = engine === null ? await openStack(context) : null
  if ((engine ?? stack?.engine) !== 'kubernetes') return
  throw new DevstackError('USAGE', 'the cluster of engine kubernetes is not removed: it is not ours', {
    cause: 'down --cluster is for the kind cluster that devstack made on this machine',
    hint: 'devstack down removes the stack from it; devstack down --cluster --engine kind the one on this machine',
  })
}

async function removeCluster(io: Io, stack: StackRef): Promise<boolean> {
  const { removeOwnCluster } = await import('../cluster.js')
  return await removeOwnCluster(io, stack, AbortSignal.timeout(CLUSTER_MS))
}

/** Resolves with the services that it removed. */
async function remove(client: SessionClient, volumes: boolean): Promise<readonly string[]> {
  let stopped: readonly string[] = []
  client.subscribe((event) => {
    if (event?.type === 'stackStopped') stopped = event.services
  })
  await client.send({ type: 'down', volumes })
  return stopped
}

function summary(name: string, services: readonly string[], volumes: boolean, seconds: number): string {
  if (services.length === 0) return `nothing of ${name} was running${volumes ? '; its data is deleted' : ''}`
  const data = volumes ? 'its data is deleted' : 'its data stays'
  return `${name} is down in ${seconds.toFixed(1)} s (${services.join(', ')}); ${data}`
}
