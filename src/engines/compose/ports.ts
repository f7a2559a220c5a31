import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Emit } from '../../core/events.js'
import { servicesOf } from './model.js'
import type { ComposeModel, ComposePort } from './model.js'
import type { ComposeEngineOptions } from './options.js'
import { ASSIGNED, isFree, LOOPBACK, parseKept } from './host-ports.js'
import type { KeptPorts } from './host-ports.js'
import { readIfThere, writeIfChanged } from './state.js'

/** A running container of any project, as far as its ports go. */
export interface PortHolder {
  readonly container: string
  readonly own: boolean
  readonly ports: readonly { readonly port: number; readonly protocol: string }[]
}

export interface PortRequest {
  readonly model: ComposeModel
  /** The services that are about to run; ports of others are nobody's concern. */
  readonly services: readonly string[]
  readonly holders: readonly PortHolder[]
  readonly freePorts: boolean
  /** `look`: nobody's port is asked for, and nothing is kept. */
  readonly purpose: 'up' | 'look'
}

/** By service: its ports as they are to be published. */
export type SettledPorts = Readonly<Record<string, readonly ComposePort[]>>

/** One fixed published port. */
interface Wanted {
  readonly service: string
  readonly port: ComposePort
  readonly index: number
  readonly number: number
  readonly protocol: string
  readonly key: string
}

/**
 * Decides the host port of every published port before anything is created. The wanted port is kept in the primary
 * worktree; another one gets a port of its own, the same from run to run.
 * @throws DevstackError PORT_TAKEN, with every taken port and its owner
 */
export async function settlePorts(
  request: PortRequest,
  options: ComposeEngineOptions,
  emit: Emit,
): Promise<SettledPorts> {
  const file = join(options.stateFolder, 'ports.json')
  const text = await readIfThere(file)
  const kept = parseKept(text)
  const wanted = wantedPorts(request.model)
  refuseDoubles(wanted.filter(({ service }) => request.services.includes(service)))
  const next: Record<string, number> = { ...kept }
  const taken: { readonly wanted: Wanted; readonly owner: string }[] = []
  const reserved = new Set(Object.values(kept))
  for (const one of wanted) {
    const choice = await settle(one, kept[one.key], request, options, reserved)
    if ('owner' in choice) taken.push({ wanted: one, owner: choice.owner })
    else if (choice.assigned) {
      next[one.key] = choice.port
      reserved.add(choice.port)
    }
    if ('port' in choice && request.services.includes(one.service)) announce(emit, one, choice)
  }
  if (taken.length > 0) throw await portsTaken(taken)
  if (Object.keys(next).length > 0 && request.purpose === 'up')
    await writeIfChanged(file, `${JSON.stringify(next, null, 2)}\n`, text)
  return applyPorts(request.model, wanted, next)
}

type Choice =
  { readonly port: number; readonly assigned: boolean; readonly reason: string } | { readonly owner: string }

async function settle(
  wanted: Wanted,
  kept: number | undefined,
  request: PortRequest,
  options: ComposeEngineOptions,
  reserved: ReadonlySet<number>,
): Promise<Choice> {
  const concerned = request.purpose === 'up' && request.services.includes(wanted.service)
  const own = kept ?? wanted.number
  const owner = concerned ? await ownerOf(own, wanted, request.holders, options) : null
  if (kept !== undefined && owner === null) {
    return { port: kept, assigned: true, reason: options.primary ? 'kept' : 'kept for this worktree' }
  }
  if (kept === undefined && options.primary && owner === null) {
    return { port: wanted.number, assigned: false, reason: 'as the project says' }
  }
  if (owner !== null && options.primary && !request.freePorts) return { owner }
  const free = await findFree(wanted, request.holders, options, reserved)
  const reason =
    owner === null ? 'another worktree has the wanted one' : `${String(own)} is taken by ${owner}`
  return { port: free, assigned: true, reason }
}

function announce(emit: Emit, wanted: Wanted, choice: Extract<Choice, { port: number }>): void {
  emit({
    type: 'portAssigned',
    service: wanted.service,
    target: wanted.port.target,
    hostIp: wanted.port.host_ip ?? LOOPBACK,
    port: choice.port,
    wanted: wanted.number,
    reason: choice.reason,
  })
}

function wantedPorts(model: ComposeModel): readonly Wanted[] {
  return Object.entries(servicesOf(model)).flatMap(([service, { ports }]) =>
    (ports ?? []).flatMap((port, index): readonly Wanted[] => {
      const number = Number(port.published ?? '')
      if (!Number.isInteger(number) || number <= 0) return []
      const protocol = port.protocol ?? 'tcp'
      const key = [service, port.target, protocol, port.host_ip ?? '', number].join('/')
      return [{ service, port, index, number, protocol, key }]
    }),
  )
}

function refuseDoubles(wanted: readonly Wanted[]): void {
  const seen = new Map<string, Wanted>()
  for (const one of wanted) {
    const place = `${one.port.host_ip ?? LOOPBACK} ${one.protocol} ${String(one.number)}`
    const other = seen.get(place)
    if (other !== undefined && other.service !== one.service) {
      throw new DevstackError('CONFIG_INVALID', `port ${String(one.number)} is published twice`, {
        cause: `by ${other.service} and by ${one.service}`,
        hint: 'give one of them another port',
      })
    }
    seen.set(place, one)
  }
}

/** Who holds the port, or null where it is free or held by our own containers. */
async function ownerOf(
  port: number,
  wanted: Wanted,
  holders: readonly PortHolder[],
  options: ComposeEngineOptions,
): Promise<string | null> {
  const holding = holders.filter((holder) =>
    holder.ports.some((held) => held.port === port && held.protocol === wanted.protocol),
  )
  if (holding.some((holder) => holder.own)) return null
  const [foreign] = holding
  if (foreign !== undefined) return `container ${foreign.container}`
  if (wanted.protocol !== 'tcp' || !options.endpoint.startsWith('unix://')) return null
  if (await isFree(port, wanted.port.host_ip ?? LOOPBACK)) return null
  return (await options.portOwner(port)) ?? 'another program'
}

/** The first free port from a place that depends on the worktree, so that worktrees seldom meet. */
async function findFree(
  wanted: Wanted,
  holders: readonly PortHolder[],
  options: ComposeEngineOptions,
  reserved: ReadonlySet<number>,
): Promise<number> {
  const size = ASSIGNED.to - ASSIGNED.from
  const digest = createHash('sha256').update(`${options.folder}\n${wanted.key}`).digest()
  const start = digest.readUInt32BE(0) % size
  const held = new Set(holders.flatMap((holder) => holder.ports.map(({ port }) => port)))
  for (let step = 0; step < size; step++) {
    const port = ASSIGNED.from + ((start + step) % size)
    if (reserved.has(port) || held.has(port)) continue
    if (await isFree(port, wanted.port.host_ip ?? LOOPBACK)) return port
  }
  throw new DevstackError('PORT_TAKEN', 'no free port is left', {
    cause: `every port from ${String(ASSIGNED.from)} to ${String(ASSIGNED.to)} is taken`,
  })
}

async function portsTaken(
  taken: readonly { readonly wanted: Wanted; readonly owner: string }[],
): Promise<DevstackError> {
  const lines = taken.map(({ wanted, owner }) => `port ${String(wanted.number)} is taken by ${owner}`)
  const [first = ''] = lines
  const services = taken.map(({ wanted }) => wanted.service).join(', ')
  return new DevstackError('PORT_TAKEN', first, {
    cause:
      lines.length === 1
        ? `the service ${services} publishes it`
        : `${lines.slice(1).join('; ')}; wanted by ${services}`,
    hint: `end what holds ${lines.length === 1 ? 'it' : 'them'}, or take free ports: devstack up --free-ports`,
  })
}

/** Only services whose ports differ from the file's are in the result. */
function applyPorts(model: ComposeModel, wanted: readonly Wanted[], assigned: KeptPorts): SettledPorts {
  const result: Record<string, readonly ComposePort[]> = {}
  for (const [service, { ports }] of Object.entries(servicesOf(model))) {
    if (ports === undefined || ports.length === 0) continue
    const settled = ports.map((port, index): ComposePort => {
      const key = wanted.find((one) => one.service === service && one.index === index)?.key
      const number = key === undefined ? undefined : assigned[key]
      const published = number === undefined ? {} : { published: String(number) }
      return { ...port, host_ip: port.host_ip ?? LOOPBACK, ...published }
    })
    if (JSON.stringify(settled) !== JSON.stringify(ports)) result[service] = settled
  }
  return result
}
