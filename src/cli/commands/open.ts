import { DevstackError } from '../../core/error.js'
import { checkServices } from '../../core/project.js'
import { mainUrl, urlOf } from '../../core/select.js'
import type { StackState } from '../../core/state.js'
import type { CommandContext } from '../commands.js'
import { print, printJson } from '../io.js'
import { readState } from '../read-state.js'
import { openStack } from '../stack.js'

/** `devstack open`: the service's address in the browser, or only printed. */
export async function open(
  context: CommandContext,
  service: string | undefined,
  options: { readonly print?: boolean; readonly json?: boolean },
): Promise<number> {
  const stack = await openStack(context)
  const { state } = await readState(stack, context.io.env)
  if (service !== undefined) checkServices([service], Object.keys(state.services))
  const url = service === undefined ? mainUrl(state) : (urlOf(state, service) ?? address(state, service))
  if (url === null) throw noAddress(state, service)
  if (options.json === true) printJson(context.io, { service: service ?? serviceOf(state, url), url })
  else if (options.print === true) print(context.io, url)
  else await showInBrowser(url)
  return 0
}

async function showInBrowser(url: string): Promise<void> {
  const { default: openUrl } = await import('open')
  await openUrl(url)
}

/** Of a service that no browser understands, for its own client. */
function address(state: StackState, service: string): string | null {
  const port = state.services[service]?.ports[0]
  return port === undefined ? null : `${port.hostIp}:${String(port.port)}`
}

function serviceOf(state: StackState, url: string): string | null {
  return Object.keys(state.services).find((name) => urlOf(state, name) === url) ?? null
}

function noAddress(state: StackState, service: string | undefined): DevstackError {
  const published = Object.values(state.services).filter((one) => one.ports.length > 0)
  return new DevstackError('USAGE', `${service ?? 'the stack'} publishes no address`, {
    cause: published.length === 0 ? 'no service publishes a port' : null,
    hint: published.length === 0 ? null : `these do: ${published.map((one) => one.name).join(', ')}`,
  })
}
