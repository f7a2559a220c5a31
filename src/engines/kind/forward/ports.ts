import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { DevstackError } from '../../../core/error.js'
import type { Emit } from '../../../core/events.js'
import type { PublishedPort } from '../../../core/project.js'
import { ASSIGNED, isFree, parseKept } from '../../compose/host-ports.js'
import { readIfThere, writeIfChanged } from '../../compose/state.js'

export interface ForwardPortRequest {
  /** By service: its ports as the manifests want them. */
  readonly ports: Readonly<Record<string, readonly PublishedPort[]>>
  /** The services that are about to run; ports of others are nobody's concern. */
  readonly services: readonly string[]
  /** `look`: nobody's port is asked for, and nothing is kept. */
  readonly purpose: 'up' | 'look'
}

export interface ForwardPortOptions {
  /** Absolute path of the project's folder. */
  readonly folder: string
  /** This worktree gets the wanted ports; another one gets ports of its own. */
  readonly primary: boolean
  /** Absolute path of the stack's private folder: what was assigned is kept there. */
  readonly stateFolder: string
  /** Ports that Compose's stack of the same project wants: the two can be up side by side, whichever comes first. */
  readonly spared?: ReadonlySet<number>
  /** This process listens there already. */
  readonly holds: (port: number) => boolean
  /** Who listens on a port of this machine: `postgres (pid 812)`; null where that is not known. */
  readonly portOwner: (port: number) => Promise<string | null>
}

/** One wanted port of the machine. */
interface Wanted {
  readonly service: string
  readonly port: PublishedPort
  readonly key: string
}

interface Choice {
  readonly port: number
  /** Kept for the next run. */
  readonly assigned: boolean
  readonly reason: string
}

/** How far from the wanted port the next free one is looked for. */
const NEAR = 100

/**
 * Decides which port of this machine leads to each port of a service: the wanted one in the primary worktree, the next free one
 * where somebody else has it, and in another worktree one of its own; the same from run to run.
 * @throws DevstackError PORT_TAKEN where no port is left
 */
export async function settleForwardPorts(
  request: ForwardPortRequest,
  options: ForwardPortOptions,
  emit: Emit,
): Promise<Readonly<Record<string, readonly PublishedPort[]>>> {
  const file = join(options.stateFolder, 'ports.json')
  const text = await readIfThere(file)
  const kept = parseKept(text)
  const next: Record<string, number> = { ...kept }
  const wanted = Object.entries(request.ports).flatMap(([service, ports]) =>
    ports.map((port): Wanted => ({
      service,
      port,
      key: `${service}/${String(port.target)}/${port.protocol}`,
    })),
  )
  // Nobody gets what another service of the stack wants or has.
  const reserved = new Set([...Object.values(kept), ...wanted.flatMap(({ port }) => port.published ?? [])])
  const settled: Record<string, PublishedPort[]> = {}
  for (const one of wanted) {
    const concerned = request.purpose === 'up' && request.services.includes(one.service)
    const choice = await settle(one, kept[one.key], concerned, options, reserved)
    reserved.add(choice.port)
    if (choice.assigned) next[one.key] = choice.port
    if (request.services.includes(one.service)) announce(emit, one, choice)
    ;(settled[one.service] ??= []).push({ ...one.port, published: choice.port })
  }
  if (Object.keys(next).length > 0 && request.purpose === 'up')
    await writeIfChanged(file, `${JSON.stringify(next, null, 2)}\n`, text)
  return settled
}

async function settle(
  wanted: Wanted,
  kept: number | undefined,
  concerned: boolean,
  options: ForwardPortOptions,
  reserved: ReadonlySet<number>,
): Promise<Choice> {
  const first = kept ?? (options.primary ? wanted.port.published : null)
  if (first === null) {
    const reason = options.primary ? 'a free one' : 'another worktree has the wanted one'
    return { port: await findFree(wanted, options, reserved, []), assigned: true, reason }
  }
  const spared = options.spared?.has(first) === true
  if (!spared && (!concerned || options.holds(first) || (await isFree(first)))) {
    if (kept === undefined) return { port: first, assigned: false, reason: 'as the project says' }
    return { port: first, assigned: true, reason: options.primary ? 'kept' : 'kept for this worktree' }
  }
  const owner = spared ? null : ((await options.portOwner(first)) ?? 'another program')
  const near = options.primary ? Array.from({ length: NEAR }, (_, step) => first + 1 + step) : []
  const port = await findFree(wanted, options, reserved, near)
  const reason =
    owner === null ? "Compose's stack of this project has that one" : `${String(first)} is taken by ${owner}`
  return { port, assigned: true, reason }
}

/** The first free of the given, then from a place that depends on the worktree, so that worktrees seldom meet. */
async function findFree(
  { key }: Wanted,
  { folder, spared, holds }: ForwardPortOptions,
  reserved: ReadonlySet<number>,
  near: readonly number[],
): Promise<number> {
  const size = ASSIGNED.to - ASSIGNED.from
  const start = createHash('sha256').update(`${folder}\n${key}`).digest().readUInt32BE(0) % size
  const far = Array.from({ length: size }, (_, step) => ASSIGNED.from + ((start + step) % size))
  for (const port of [...near, ...far]) {
    if (port > 65_535 || reserved.has(port) || spared?.has(port) === true) continue
    if (holds(port) || (await isFree(port))) return port
  }
  throw new DevstackError('PORT_TAKEN', 'no free port is left', {
    cause: `every port from ${String(ASSIGNED.from)} to ${String(ASSIGNED.to)} is taken`,
  })
}

function announce(emit: Emit, { service, port }: Wanted, choice: Choice): void {
  const { target, hostIp, published } = port
  emit({
    type: 'portAssigned',
    service,
    target,
    hostIp,
    port: choice.port,
    wanted: published,
    reason: choice.reason,
  })
}
