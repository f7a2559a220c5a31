import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import { checkServices } from '../../core/project.js'
import { fitText } from '../../core/select.js'
import { freshOf } from '../../core/select-update.js'
import type { ServiceState, StackState } from '../../core/state.js'
import { connectSession, type SessionClient } from '../../host/session/client.js'
import { isReady } from '../../orchestrator/execute.js'
import type { CommandContext } from '../commands.js'
import { parseDuration } from '../duration.js'
import { print, printError, printJson, type Io } from '../io.js'
import { withSession } from '../launch.js'
import { readState } from '../read-state.js'
import { openStack, type StackRef } from '../stack.js'

interface WaitOptions {
  readonly for: string
  readonly timeout: string
  readonly json?: boolean
}

type Condition = (service: ServiceState) => boolean

const CONDITIONS: Readonly<Record<string, Condition>> = {
  healthy: isReady,
  fresh: isFresh,
  stopped: (service) => Object.keys(service.instances).length === 0,
}

/** Its processes run the saved code; what nothing is watched of has no other code than that it runs. */
function isFresh(service: ServiceState): boolean {
  if (!service.summary.watched || service.phase === 'completed') return isReady(service)
  return service.freshness.state === 'live' && Object.keys(service.instances).length > 0
}

/** One `wait`, while it lasts. */
interface Waiting {
  readonly io: Io
  readonly names: readonly string[]
  readonly options: WaitOptions
  readonly condition: Condition
  readonly timeoutMs: number
  /** Monotonic milliseconds. */
  readonly begin: number
}

/** `devstack wait`: blocks until services are as asked; exit 1 when the time is over. */
export async function wait(
  { io, ...context }: CommandContext,
  names: readonly string[],
  options: WaitOptions,
): Promise<number> {
  const condition = CONDITIONS[options.for]
  if (condition === undefined)
    throw new DevstackError('USAGE', `cannot wait for ${options.for}`, {
      hint: '--for healthy, fresh or stopped',
    })
  const timeoutMs = parseDuration(options.timeout)
  const stack = await openStack({ io, ...context })
  const waiting = { io, names, options, condition, timeoutMs, begin: performance.now() }
  if (options.for === 'fresh') return waitFresh(stack, waiting)
  return withSession(stack, io.env, async (client) => waitWith(client, waiting), true)
}

/** Rejects with SESSION_LOST when the session is over: another one knows more. */
async function waitWith(client: SessionClient, waiting: Waiting): Promise<number> {
  // A save of a moment ago may not have been noticed yet: what is fresh is known after a look at the files themselves.
  const fresh = waiting.options.for === 'fresh'
  await client.send({ type: fresh ? 'recheck' : 'look' })
  checkServices(waiting.names, Object.keys(client.getState().services))
  await Promise.race([settled(client, waiting), ended(client)])
  return tell(client.getState(), waiting)
}

async function ended(client: SessionClient): Promise<never> {
  await client.closed
  throw new DevstackError('SESSION_LOST', 'the session ended while services were waited for', {
    hint: 'devstack status',
  })
}

const LOOK_MS = 200

/** Only a session that watches the sources knows what is fresh: one that is not there yet is waited for, too. */
async function waitFresh(stack: StackRef, waiting: Waiting): Promise<number> {
  let told = false
  while (left(waiting) > 0) {
    const client = await connectSession(stack.socketPath)
    try {
      if (client?.hello.lasting === true) return await waitWith(client, waiting)
    } catch (error) {
      if (!(error instanceof DevstackError) || error.code !== 'SESSION_LOST') throw error
    } finally {
      client?.close()
    }
    if (!told) await sayNobodyWatches(stack, waiting)
    told = true
    await sleep(Math.min(LOOK_MS, Math.max(0, left(waiting))))
  }
  const { state } = await readState(stack, waiting.io.env)
  return tell(state, waiting)
}

async function sayNobodyWatches(stack: StackRef, { io, names }: Waiting): Promise<void> {
  const { state } = await readState(stack, io.env)
  checkServices(names, Object.keys(state.services))
  printError(io, `no session of ${stack.name} watches the sources yet; devstack up --detach starts one`)
}

function left({ timeoutMs, begin }: Waiting): number {
  return timeoutMs - (performance.now() - begin)
}

function asked(state: StackState, names: readonly string[]): readonly ServiceState[] {
  return Object.values(state.services).filter((service) => names.length === 0 || names.includes(service.name))
}

/** Resolves when all are as asked, or the time is over. */
async function settled(
  client: Pick<SessionClient, 'getState' | 'subscribe'>,
  waiting: Waiting,
): Promise<void> {
  const reporter = staleReporter(waiting)
  const done = (): boolean => {
    const services = asked(client.getState(), waiting.names)
    reporter(services, client.getState())
    return services.every(waiting.condition)
  }
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer)
      unsubscribe()
      resolve()
    }
    const timer = setTimeout(finish, Math.max(0, left(waiting)))
    const unsubscribe = client.subscribe(() => {
      if (done()) finish()
    })
    if (done()) finish()
  })
}

/** Says on stderr why a service that is waited for got stale: somebody has to mend it. */
function staleReporter({ io, options }: Waiting) {
  const told = new Map<string, string>()
  return (services: readonly ServiceState[], state: StackState): void => {
    if (options.for !== 'fresh') return
    for (const service of services) {
      const text = service.freshness.state === 'stale' ? waitsFor(service, state, 'fresh') : ''
      if (text !== '' && told.get(service.name) !== text) printError(io, `${service.name}: ${text}`)
      told.set(service.name, text)
    }
  }
}

/** What it still lacks, in a few words. */
function waitsFor(service: ServiceState, state: StackState, what: string): string {
  if (what !== 'fresh' || !service.summary.watched) return service.cause ?? service.phase
  const fresh = freshOf(service, state.updates)
  if (fresh !== null) return fitText(fresh.text, 200)
  if (Object.keys(service.instances).length === 0) return service.cause ?? 'it does not run'
  return 'no session watches its sources'
}

/** Prints how it ended. */
function tell(state: StackState, { io, names, options, condition, begin }: Waiting): number {
  const seconds = Math.round((performance.now() - begin) / 100) / 10
  const services = asked(state, names)
  const late = services.filter((service) => !condition(service))
  const waitingFor = Object.fromEntries(
    late.map((service) => [service.name, waitsFor(service, state, options.for)]),
  )
  const all = services.map(({ name }) => name)
  const missing = late.map(({ name }) => name)
  if (options.json === true) {
    const reached = missing.length === 0
    printJson(io, { for: options.for, services: all, seconds, reached, missing, waitingFor })
    return reached ? 0 : 1
  }
  if (missing.length === 0) {
    print(io, `${all.join(', ')}: ${options.for} after ${String(seconds)} s`)
    return 0
  }
  const one = missing.length === 1 ? (missing[0] ?? 'SERVICE') : 'SERVICE'
  const hint =
    options.for === 'fresh'
      ? `devstack why ${one} says more; --timeout 5m waits longer`
      : 'devstack status says what each waits for; --timeout 5m waits longer'
  throw new DevstackError('TIMEOUT', `not ${options.for} after ${options.timeout}: ${missing.join(', ')}`, {
    cause:
      options.for === 'fresh'
        ? Object.entries(waitingFor)
            .map(([name, text]) => `${name}: ${text}`)
            .join('\n')
        : null,
    hint,
  })
}
