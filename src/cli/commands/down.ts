import { DevstackError } from '../../core/error.js'
import type { SessionClient } from '../../host/session/client.js'
import type { CommandContext } from '../commands.js'
import { confirm, print, printJson } from '../io.js'
import { withSession } from '../launch.js'
import { openStack } from '../stack.js'

/** `devstack down`: stops and removes what runs; with `--volumes` the data too, after a question. */
export async function down(
  context: CommandContext,
  options: { readonly volumes?: boolean; readonly json?: boolean },
): Promise<number> {
  const { io, globals } = context
  const stack = await openStack(context)
  const volumes = options.volumes === true
  if (volumes) {
    const consent = await confirm(io, `Delete all data of ${stack.name} (its volumes)?`, globals)
    if (consent === null)
      throw new DevstackError(
        'CONSENT_NEEDED',
        'deleting data asks first, and there is no terminal to ask on',
        {
          hint: 'devstack down --volumes --yes',
        },
      )
    if (!consent) return 1
  }
  const begin = performance.now()
  const services = await withSession(stack, io.env, (client) => remove(client, volumes), true)
  const seconds = (performance.now() - begin) / 1000
  if (options.json === true)
    printJson(io, { project: stack.name, engine: stack.engine, services, volumes, seconds })
  else print(io, summary(stack.name, services, volumes, seconds))
  return 0
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
