import { DevstackError } from '../core/error.js'
import { checkServices, ENGINE_KINDS } from '../core/project.js'
import { mainUrl, urlOf } from '../core/select.js'
import type { StackState } from '../core/state.js'
import { accepts } from '../host/requests/send.js'
import type { CommandContext } from './commands.js'
import { readState } from './read-state.js'
import { openStack, type StackRef } from './stack.js'

const LOOPBACK = /^(?:127(?:\.\d+){3}|localhost|.+\.localhost|\[::1\])$/

/** Where requests for a stack go. */
export interface StackAddress {
  /** The engine's name; of a mere address its port: `:8080`. */
  readonly name: string
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** Null for a mere address. */
  readonly stack: StackRef | null
}

/**
 * The address of this project's stack on one engine (null: the one it is set to), or a given address of this machine.
 * @throws DevstackError USAGE; ENGINE_NOT_RUNNING where nothing is up there
 */
export async function stackAddress(
  context: CommandContext,
  where: string | null,
  service: string | null,
): Promise<StackAddress> {
  if (where?.includes('://') === true) return givenAddress(where)
  const engine = ENGINE_KINDS.find((name) => name === where)
  if (where !== null && engine === undefined)
    throw new DevstackError('USAGE', `${where} is no engine`, {
      hint: `${ENGINE_KINDS.join(', ')}, or an address of this machine: http://127.0.0.1:8080`,
    })
  const globals = { ...context.globals, engine: engine ?? context.globals.engine }
  const stack = await openStack({ ...context, globals })
  const { state } = await readState(stack, context.io.env)
  const names = Object.keys(state.services)
  if (service !== null) checkServices([service], names)
  const url = service === null ? mainUrl(state) : urlOf(state, service)
  if (!runs(state, service)) throw notUp(stack, service)
  if (url === null)
    throw new DevstackError('USAGE', `${service ?? 'the stack'} has no address on ${stack.engine}`, {
      cause: 'it publishes no port that speaks HTTP',
      hint: 'devstack status shows the addresses that there are',
    })
  if (!(await accepts(url, AbortSignal.timeout(5000))))
    throw notUp(stack, service, `${url} refuses connections`)
  return { name: stack.engine, url, stack }
}

/** Only of this machine: what is sent may change data, and a production's is never touched. */
async function givenAddress(text: string): Promise<StackAddress> {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:' || !LOOPBACK.test(url.hostname) || url.pathname !== '/' || url.search !== '')
    throw new DevstackError('USAGE', `${text} is no address of this machine`, {
      cause: 'requests may change data, so they are sent to stacks on this machine only',
      hint: 'like http://127.0.0.1:8080, without a path',
    })
  if (!(await accepts(url.origin, AbortSignal.timeout(5000))))
    throw new DevstackError('ENGINE_NOT_RUNNING', `nothing listens at ${url.origin}`, {
      hint: 'devstack ls shows the stacks that run',
    })
  // Of two addresses of this machine the port is what tells them apart.
  const name =
    ['127.0.0.1', 'localhost'].includes(url.hostname) && url.port !== '' ? `:${url.port}` : url.host
  return { name, url: url.origin, stack: null }
}

function runs({ services }: StackState, service: string | null): boolean {
  const asked = service === null ? Object.values(services) : [services[service] ?? { instances: {} }]
  return asked.some(({ instances }) => Object.keys(instances).length > 0)
}

function notUp(
  { name, engine }: StackRef,
  service: string | null,
  cause: string | null = null,
): DevstackError {
  const what = service === null ? `the stack ${name}` : `${service} of ${name}`
  return new DevstackError('ENGINE_NOT_RUNNING', `${what} is not up on ${engine}`, {
    cause,
    hint: `devstack up --engine ${engine} --detach`,
  })
}
