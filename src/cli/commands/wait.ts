import { DevstackError } from '../../core/error.js'
import type { ServiceState, StackState } from '../../core/state.js'
import { checkServices } from '../../core/project.js'
import type { SessionClient } from '../../host/session/client.js'
import { isReady } from '../../orchestrator/execute.js'
import type { CommandContext } from '../commands.js'
import { parseDuration } from '../duration.js'
import { print, printJson } from '../io.js'
import { withSession } from '../launch.js'

import { openStack } from '../stack.js'

interface WaitOptions {
  readonly for: string
  readonly timeout: string
  readonly json?: boolean
}

const CONDITIONS: Readonly<Record<string, (service: ServiceState) => boolean>> = {
  healthy: isReady,
  stopped: (service) => Object.keys(service.instances).length === 0,
}

/** `devstack wait`: blocks until services are as asked; exit 1 when the time is over. */
export async function wait(
  context: CommandContext,
  services: readonly string[],
  options: WaitOptions,
): Promise<number> {
  if (options.for === 'fresh')
    throw new DevstackError('UNSUPPORTED', 'wait --for fresh is not there yet', {
      cause: 'it needs the freshness proof of live update, which this version does not have',
      hint: 'devstack wait --for healthy',
    })
  const condition = CONDITIONS[options.for]
  if (condition === undefined)
    throw new DevstackError('USAGE', `cannot wait for ${options.for}`, {
      hint: '--for healthy, fresh or stopped',
    })
  const timeoutMs = parseDuration(options.timeout)
  const stack = await openStack(context)
  const begin = performance.now()
  const work = async (client: SessionClient): Promise<number> => {
    await client.send({ type: 'look' })
    checkServices(services, Object.keys(client.getState().services))
    const left = Math.max(0, timeoutMs - (performance.now() - begin))
    const missing = await Promise.race([settled(client, services, condition, left), ended(client)])
    const seconds = Math.round((performance.now() - begin) / 100) / 10
    const result = {
      for: options.for,
      services: wanted(client.getState(), services).map(({ name }) => name),
      seconds,
    }
    if (options.json === true) printJson(context.io, { ...result, reached: missing.length === 0, missing })
    else if (missing.length === 0)
      print(context.io, `${result.services.join(', ')}: ${options.for} after ${String(seconds)} s`)
    if (missing.length === 0) return 0
    if (options.json === true) return 1
    throw new DevstackError('TIMEOUT', `not ${options.for} after ${options.timeout}: ${missing.join(', ')}`, {
      hint: 'devstack status says what each waits for; --timeout 5m waits longer',
    })
  }
  return withSession(stack, context.io.env, work, true)
}

/** Rejects when the session is over: another one knows more. */
async function ended(client: SessionClient): Promise<never> {
  await client.closed
  throw new DevstackError('SESSION_LOST', 'the session ended while services were waited for', {
    hint: 'devstack status',
  })
}

function wanted(state: StackState, names: readonly string[]): readonly ServiceState[] {
  return Object.values(state.services).filter((service) => names.length === 0 || names.includes(service.name))
}

/** The names that are not as asked when it is over: empty on success. */
async function settled(
  client: { getState(): StackState; subscribe(listener: () => void): () => void },
  names: readonly string[],
  condition: (service: ServiceState) => boolean,
  timeoutMs: number,
): Promise<readonly string[]> {
  const missing = (): readonly string[] =>
    wanted(client.getState(), names)
      .filter((service) => !condition(service))
      .map((service) => service.name)
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer)
      unsubscribe()
      resolve(missing())
    }
    const timer = setTimeout(finish, timeoutMs)
    const unsubscribe = client.subscribe(() => {
      if (missing().length === 0) finish()
    })
    if (missing().length === 0) finish()
  })
}
