import { DevstackError, exitCodeOf } from '../../core/error.js'
import type { Intent } from '../../core/intents.js'
import type { SessionClient } from '../../host/session/client.js'
import type { CommandContext } from '../commands.js'
import { ensureSession } from '../launch.js'
import { chooseUi, preloadTerminal, renderUntil } from '../render.js'
import { openStack } from '../stack.js'
import { prepareMachine } from '../machine.js'

export interface UpOptions {
  readonly detach?: boolean
  readonly watch: boolean
  readonly ui?: string
  readonly build?: boolean
  readonly profile?: readonly string[]
  readonly freePorts?: boolean
}

/** `devstack up`: starts or joins the session, asks it to bring the stack up, and shows what happens. */
export async function up(
  context: CommandContext,
  services: readonly string[],
  options: UpOptions,
): Promise<number> {
  const ui = chooseUi(options.ui, context, options.detach === true)
  if (ui === 'tui') await preloadTerminal()
  const stack = await openStack(context)
  const elsewhere = await prepareMachine(context)
  if (elsewhere !== null) return elsewhere
  const { client, started } = await ensureSession(stack, context.io.env, ui === 'json')
  const intent: Intent = {
    type: 'up',
    services,
    profiles: options.profile ?? [],
    build: options.build === true,
    watch: options.watch,
    freePorts: options.freePorts === true,
  }
  const code = await renderUntil(context, client, {
    ui,
    mode: options.detach === true ? 'detach' : 'up',
    intent,
  })
  await leaveIfEmpty(client, started)
  client.close()
  return code
}

/** A session that this run started and in which nothing runs has no reason to stay. */
async function leaveIfEmpty(client: SessionClient, started: boolean): Promise<void> {
  const { services, session } = client.getState()
  const runs = Object.values(services).some((service) => Object.keys(service.instances).length > 0)
  if (!started || runs || session === null) return
  await client.send({ type: 'leave' }).catch((error: unknown) => {
    if (!(error instanceof DevstackError) || exitCodeOf(error.code) !== 1) throw error
  })
}
