import { isReady } from '../../orchestrator/execute.js'
import type { InstanceUsage } from '../../orchestrator/ports.js'
import { closedPort, fitText, serviceRows, summaryText, type ServiceRow } from '../../core/select.js'
import { lastUpdate } from '../../core/select-update.js'
import type { ServiceState, StackState, UpdateRecord, UpdateStep } from '../../core/state.js'
import { cells, formatBytes, sanitise } from '../../core/text.js'
import type { CommandContext } from '../commands.js'
import { print, printJson } from '../io.js'
import { readState } from '../read-state.js'
import { openStack, type StackRef } from '../stack.js'
import { formatTable } from '../table.js'

/** `devstack status`: one row a service. Exit 1 where a service that was asked for is not ready. */
export async function status(context: CommandContext, options: { readonly json?: boolean }): Promise<number> {
  const stack = await openStack(context)
  const { state, usage, away } = await readState(stack, context.io.env, true)
  await printStatus(context, stack, state, usage, options.json === true)
  if (away !== null) throw away
  const services = Object.values(state.services)
  const wanted = services.some((service) => service.wanted)
    ? services.filter((service) => service.wanted)
    : services
  return wanted.every(isReady) ? 0 : 1
}

/** The table, or `devstack.status/1`. */
export async function printStatus(
  { io }: CommandContext,
  stack: StackRef,
  state: StackState,
  usage: readonly InstanceUsage[] | null,
  json: boolean,
): Promise<void> {
  if (json) return printJson(io, statusJson(stack, state, usage))
  const session = state.session === null ? 'no session' : `session ${String(state.session.pid)}`
  print(io, `${stack.name}  ${stack.engine}  ${session}  ${summaryOf(state)}`)
  const width = (io.stdout.columns ?? 100) - 60
  const room = Math.max(24, width)
  const shown = serviceRows(state, Date.now())
  const rows = shown.map((row) => {
    const service = state.services[row.name]
    const used = usageOf(service, usage)
    return [
      `${row.glyph} ${row.name}`,
      fitText(row.text, room),
      row.fresh === null ? '' : fitText(row.fresh.text, io.stdout.isTTY ? Math.max(34, width) : 200),
      used.cpu === null ? '' : `${String(Math.round(used.cpu * 100))}%`,
      used.memoryBytes === null ? '' : formatBytes(used.memoryBytes),
      originOf(service),
      row.address,
    ]
  })
  for (const line of formatTable(['  SERVICE', 'STATE', 'FRESH', 'CPU', 'MEMORY', 'IMAGE', 'ADDRESS'], rows))
    print(io, line)
  for (const row of shown) for (const line of wholeText(row, state.services[row.name], room)) print(io, line)
  for (const service of Object.values(state.services)) {
    if (service.server !== null) print(io, `note: ${service.name}: ${serverText(service.server)}`)
    if (service.image?.reduced != null) print(io, `note: ${service.name}: ${service.image.reduced}`)
  }
  for (const names of sharedPods(state))
    print(io, `note: ${names} share their pods: what restarts or stops one does both`)
  for (const approval of state.approvals)
    print(io, `waits for you: ${approval.text}; devstack approve ${approval.id}`)
  return Promise.resolve()
}

const LINES_SHOWN = 5

/** What the table has no room for: why a service is not as it should be, and the last lines that it printed before it ended. */
function wholeText(row: ServiceRow, service: ServiceState | undefined, room: number): readonly string[] {
  if (service === undefined || isReady(service) || (row.tone === 'quiet' && service.hold === null)) return []
  const whole = fitText(row.text, Infinity)
  const output = service.output.slice(-LINES_SHOWN).map((line) => `  > ${sanitise(line)}`)
  if (cells(whole) <= room && output.length === 0) return []
  return [`${service.name}: ${whole}`, ...output]
}

/** `api and nginx`, for each group of services whose containers are in the same pods. */
function sharedPods({ services }: StackState): readonly string[] {
  const groups = Object.values(services).flatMap(({ name, summary }) =>
    summary.sharesPodWith === undefined ? [] : [[name, ...summary.sharesPodWith].sort().join(' and ')],
  )
  return [...new Set(groups)]
}

/** Without a session nobody brings the stack up or says that it is: what runs is counted. */
function summaryOf(state: StackState): string {
  if (state.session !== null) return summaryText(state)
  const services = Object.values(state.services)
  const ready = services.filter(isReady).length
  return ready === 0 ? 'not running' : `${String(ready)} of ${String(services.length)} ready`
}

function serverText({ name, reason }: NonNullable<ServiceState['server']>): string {
  return `answered by ${name}${reason === null ? '' : ` (${reason})`}`
}

function originOf(service: ServiceState | undefined): string {
  if (service?.image == null) return service?.summary.built === true ? 'built' : ''
  return service.summary.built ? 'built' : service.image.origin
}

function usageOf(service: ServiceState | undefined, usage: readonly InstanceUsage[] | null) {
  const own = (usage ?? []).filter((one) => service?.instances[one.instance] !== undefined)
  return { cpu: sum(own.map((one) => one.cpu)), memoryBytes: sum(own.map((one) => one.memoryBytes)) }
}

function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : known.reduce((total, value) => total + value, 0)
}

/** As cli.md has it; its fields are a contract. */
function statusJson(stack: StackRef, state: StackState, usage: readonly InstanceUsage[] | null): object {
  return {
    schema: 'devstack.status/1',
    project: stack.name,
    engine: stack.engine,
    session: state.session,
    services: Object.values(state.services).map((service) => ({
      name: service.name,
      phase: service.phase,
      health: service.health,
      freshness: freshnessJson(service, state),
      server: service.server,
      instances: Object.values(service.instances).map(({ id, restarts, startedAt }) => ({
        id,
        restarts,
        startedAt,
      })),
      urls: service.ports.map(({ hostIp, port }) => `http://${hostIp}:${String(port)}`),
      image:
        service.image === null
          ? null
          : { ref: service.image.ref, origin: service.image.origin, reduced: service.image.reduced },
      sharesPodWith: service.summary.sharesPodWith ?? [],
      ...usageOf(service, usage),
      cause: service.cause ?? holdCause(service) ?? closedPort(service),
    })),
  }
}

/** What it waits for, other than other services. */
function holdCause({ hold }: ServiceState): string | null {
  return hold === null || hold.on.length > 0 ? null : hold.reason
}

/** With the newest change; the steps of a change that is under way are null until they are done. */
function freshnessJson(service: ServiceState, state: StackState): object {
  const { state: word, waitingFor } = service.freshness
  const last = lastUpdate(state.updates, service.name)
  return { state: word, waitingFor, lastChange: last === null ? null : changeJson(last) }
}

function changeJson(update: UpdateRecord): object {
  const at = (name: UpdateStep['name']): string | null =>
    update.steps.findLast((step) => step.name === name)?.at ?? null
  return {
    file: update.files[0] ?? null,
    seq: update.batch,
    savedAt: update.savedAt,
    syncedAt: at('delivered'),
    liveAt: at('live'),
  }
}
