import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import { checkServices } from '../../core/project.js'
import { fitText } from '../../core/select.js'
import { freshOf } from '../../core/select-update.js'
import type { ServiceState, StackState } from '../../core/state.js'
import type { SessionClient } from '../../host/session/client.js'
import { isReady } from '../../orchestrator/execute.js'
import type { CommandContext } from '../commands.js'
import { parseDuration } from '../duration.js'
import { print, printError, printJson, type Io } from '../io.js'
import { joinReadable } from '../join.js'
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

/** What nothing is watched of has no other code than that it runs, and what is done runs none. */
function hasCode(service: ServiceState): boolean {
  return service.summary.watched && service.phase !== 'completed'
}

/** Its processes run the saved code. */
function isFresh(service: ServiceState): boolean {
  if (!hasCode(service)) return isReady(service)
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
  const looked = await lookFirst(client, waiting)
  const names = Object.keys(client.getState().services)
  if (names.length > 0) checkServices(waiting.names, names)
  if (looked) await Promise.race([settled(client, waiting), ended(client)])
  return tell(client.getState(), waiting, looked)
}

/** False where the time is over before the session has answered, which may be busy. */
async function lookFirst(client: SessionClient, waiting: Waiting): Promise<boolean> {
  // A save of a moment ago may not have been noticed yet: what is fresh is known after a look at the files themselves.
  const fresh = waiting.options.for === 'fresh'
  if (!fresh && Object.keys(client.getState().services).length > 0) return true
  const look = async (): Promise<boolean> => {
    await client.send({ type: fresh ? 'recheck' : 'look' })
    return true
  }
  // One of our own has nothing else to do: its first look is made, however short the time is.
  if (!client.hello.lasting) return Promise.race([look(), ended(client)])
  const controller = new AbortController()
  try {
    const over = sleep(Math.max(0, left(waiting)), false, { signal: controller.signal })
    return await Promise.race([look(), ended(client), over])
  } finally {
    controller.abort()
  }
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
  const { io, names } = waiting
  let watched: boolean | null = null
  while (left(waiting) > 0) {
    const code = await waitWithWatcher(stack, waiting)
    if (code !== null) return code
    // Whether the others run the engine knows, too.
    if (watched !== true) {
      const { state } = await readState(stack, io.env)
      checkServices(names, Object.keys(state.services))
      watched = asked(state, names).some(hasCode)
      if (!watched && isReached(state, waiting)) return tell(state, waiting)
      if (watched)
        printError(io, `no session of ${stack.name} watches the sources yet; devstack up --detach starts one`)
    }
    await sleep(Math.min(LOOK_MS, Math.max(0, left(waiting))))
  }
  const { state } = await readState(stack, io.env)
  return tell(state, waiting)
}

/** Null where no session stays that watches, or it ended meanwhile. */
async function waitWithWatcher(stack: StackRef, waiting: Waiting): Promise<number | null> {
  let client: SessionClient | null = null
  try {
    client = await joinReadable(stack)
    return client?.hello.lasting === true ? await waitWith(client, waiting) : null
  } catch (error) {
    if (!(error instanceof DevstackError) || error.code !== 'SESSION_LOST') throw error
    return null
  } finally {
    client?.close()
  }
}

function left({ timeoutMs, begin }: Waiting): number {
  return timeoutMs - (performance.now() - begin)
}

function asked(state: StackState, names: readonly string[]): readonly ServiceState[] {
  return Object.values(state.services).filter((service) => names.length === 0 || names.includes(service.name))
}

/** All are as asked; false where no service is known yet. */
function isReached(state: StackState, { names, condition }: Waiting): boolean {
  const services = asked(state, names)
  return services.length > 0 && services.every(condition)
}

/** Resolves when all are as asked, or the time is over. */
async function settled(
  client: Pick<SessionClient, 'getState' | 'subscribe'>,
  waiting: Waiting,
): Promise<void> {
  const reporter = staleReporter(waiting)
  const done = (): boolean => {
    const state = client.getState()
    reporter(asked(state, waiting.names), state)
    return isReached(state, waiting)
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

/** Prints how it ended. `looked`: false where what is known may be of before the call. */
function tell(state: StackState, waiting: Waiting, looked = true): number {
  const { io, options, condition, begin } = waiting
  const seconds = Math.round((performance.now() - begin) / 100) / 10
  const services = asked(state, waiting.names)
  const late = services.filter((service) => !looked || !condition(service))
  const unlooked = 'the session to look at its files'
  const waitingFor: Readonly<Record<string, string>> =
    services.length === 0
      ? Object.fromEntries(waiting.names.map((name) => [name, unlooked]))
      : Object.fromEntries(
          late.map((service) => [
            service.name,
            condition(service) ? unlooked : waitsFor(service, state, options.for),
          ]),
        )
  const all = services.length === 0 ? waiting.names : services.map(({ name }) => name)
  const missing = Object.keys(waitingFor)
  const reached = services.length > 0 && missing.length === 0
  if (options.json === true) {
    printJson(io, { for: options.for, services: all, seconds, reached, missing, waitingFor })
    return reached ? 0 : 1
  }
  if (!reached) throw services.length === 0 ? nothingKnown(options) : notReached(options, waitingFor)
  print(io, `${all.join(', ')}: ${options.for} after ${String(seconds)} s`)
  return 0
}

function nothingKnown(options: WaitOptions): DevstackError {
  const message = `not ${options.for} after ${options.timeout}: nothing is known of the services yet`
  return new DevstackError('TIMEOUT', message, {
    cause: 'the session has not answered: it may be reading the project, or be busy with something else',
    hint: 'devstack status says what runs; --timeout 5m waits longer',
  })
}

function notReached(options: WaitOptions, waitingFor: Readonly<Record<string, string>>): DevstackError {
  const missing = Object.keys(waitingFor)
  const one = missing.length === 1 ? (missing[0] ?? 'SERVICE') : 'SERVICE'
  const fresh = options.for === 'fresh'
  const causes = Object.entries(waitingFor).map(([name, text]) => `${name}: ${text}`)
  return new DevstackError('TIMEOUT', `not ${options.for} after ${options.timeout}: ${missing.join(', ')}`, {
    cause: fresh ? causes.join('\n') : null,
    hint: fresh
      ? `devstack why ${one} says more; --timeout 5m waits longer`
      : 'devstack status says what each waits for; --timeout 5m waits longer',
  })
}
