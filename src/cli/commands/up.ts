import { DevstackError, exitCodeOf } from '../../core/error.js'
import type { Intent } from '../../core/intents.js'
import type { SessionClient } from '../../host/session/client.js'
import type { CommandContext } from '../commands.js'
import type { Server } from '../io.js'
import { createEarlySource, knownServices } from '../early-source.js'
import { ensureSession, type Joined } from '../launch.js'
import { chooseUi, preloadTerminal, renderUntil, type RenderOptions } from '../render.js'
import { openStack, type StackRef } from '../stack.js'
import { prepareMachine } from '../machine.js'

export interface UpOptions {
  readonly detach?: boolean
  readonly watch: boolean
  readonly ui?: string
  readonly build?: boolean
  readonly profile?: readonly string[]
  readonly freePorts?: boolean
  readonly autoApply?: boolean
  readonly server?: Server
}

/** `devstack up`: starts or joins the session, asks it to bring the stack up, and shows what happens. */
export async function up(
  asked: CommandContext,
  services: readonly string[],
  options: UpOptions,
): Promise<number> {
  const server = options.server ?? null
  const context = { ...asked, globals: { ...asked.globals, server } }
  const ui = chooseUi(options.ui, context, options.detach === true)
  if (ui === 'tui') await preloadTerminal()
  const stack = await openStack(context)
  const elsewhere = await prepareMachine(context)
  if (elsewhere !== null) return elsewhere
  if (stack.engine === 'kind') await (await import('../cluster.js')).prepareCluster(context, stack)
  if (stack.engine === 'kubernetes') await (await import('../kubernetes.js')).checkTeamCluster(context, stack)
  const join = (): Promise<Joined> =>
    ensureSession(stack, context.io.env, { fromStart: ui === 'json', server })
  let joining = join()
  const intent: Intent = {
    type: 'up',
    services,
    profiles: options.profile ?? [],
    build: options.build === true,
    watch: options.watch,
    freePorts: options.freePorts === true,
    autoApply: options.autoApply === true,
  }
  const shown = { ui, mode: options.detach === true ? 'detach' : 'up', intent } as const
  const lines = async (): Promise<number> => renderUntil(context, (await joining).client, shown)
  const code =
    ui === 'tui'
      ? await showTerminal(context, stack, joining, shown)
      : await lines().catch(async (error: unknown) => {
          if (!(await endedUnheard(joining, error))) throw error
          joining = join()
          return lines()
        })
  const { client, started } = await joining
  await leaveIfEmpty(client, started)
  client.close()
  return code
}

/** The session was about to end as it was joined, and has told nothing: another one takes over. */
async function endedUnheard(joining: Promise<Joined>, error: unknown): Promise<boolean> {
  if (!(error instanceof DevstackError) || error.code !== 'SESSION_LOST') return false
  const joined = await joining.catch(() => null)
  return joined !== null && Object.keys(joined.client.getState().services).length === 0
}

/** The terminal UI, which shows the services that are known already while the session's process starts. */
async function showTerminal(
  context: CommandContext,
  stack: StackRef,
  joining: Promise<Joined>,
  options: RenderOptions,
): Promise<number> {
  const { renderTerminal } = await import('../render-terminal.js')
  const source = createEarlySource(
    await knownServices(stack),
    joining.then(({ client }) => client),
  )
  return renderTerminal(context, source, options)
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
