import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Environment } from '../bootstrap/command.js'
import { run } from '../bootstrap/command.js'

/** Who listens on a port of this machine. What this user may not see is null. */
export interface PortOwner {
  readonly pid: number | null
  readonly command: string | null
  /** The container that publishes the port, where one does. */
  readonly container: string | null
  /** The address it listens on: `127.0.0.1`, `0.0.0.0`, `::1`, `::`. */
  readonly address: string
}

interface Listener {
  readonly address: string
  readonly inode: string
}

/** Who listens on a TCP port, on IPv4 or IPv6, or null where nobody does. `hostIp` leaves out listeners that do not clash. */
export async function portOwner(
  port: number,
  options: { readonly env: Environment; readonly signal?: AbortSignal; readonly hostIp?: string },
): Promise<PortOwner | null> {
  const listeners = await readListeners(port)
  if (listeners === null) return ownerByLsof(port, options)
  const listener = listeners.find(({ address }) => clashes(address, options.hostIp ?? address))
  if (listener === undefined) return null
  const pid = await processOf(listener.inode)
  const command = pid === null ? null : (await readText(`/proc/${String(pid)}/comm`)).trim() || null
  const published = command === null || command === 'docker-proxy'
  return {
    pid,
    command,
    address: listener.address,
    container: published ? await publisher(port, options) : null,
  }
}

/** `postgres (pid 812)`, `the container shop-postgres-1`, or what can be said. */
export function formatOwner(owner: PortOwner): string {
  if (owner.container !== null) return `the container ${owner.container}`
  if (owner.command !== null) return `${owner.command} (pid ${String(owner.pid)})`
  return `a process of another user on ${owner.address}`
}

/** Two addresses cannot be listened on at the same port. A v6 wildcard takes the v4 addresses too, unless it is v6 only. */
export function clashes(one: string, other: string): boolean {
  const wild = (address: string) => address === '0.0.0.0' || address === '::'
  if (one === other || one === '::' || other === '::') return true
  const family = (address: string) => address.includes(':')
  return family(one) === family(other) && (wild(one) || wild(other))
}

/** Listening sockets of this network namespace, or null where the system has no /proc. */
async function readListeners(port: number): Promise<readonly Listener[] | null> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => null)),
  )
  if (tables[0] === null) return null
  return tables.flatMap((table) => parseListeners(table ?? '', port))
}

/** Rows of /proc/net/tcp or tcp6 in the state LISTEN. */
export function parseListeners(table: string, port: number): readonly Listener[] {
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/))
  return rows.flatMap(([, local = '', , state, , , , , , inode = '']) => {
    const [address = '', hexPort = ''] = local.split(':')
    return state === '0A' && Number.parseInt(hexPort, 16) === port
      ? [{ address: parseAddress(address), inode }]
      : []
  })
}

/** The kernel prints addresses as little-endian words. */
function parseAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).toReversed().map((byte) => Number.parseInt(byte, 16)),
  )
  if (bytes.length === 4) return bytes.join('.')
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
  if (mapped) return bytes.slice(12).join('.')
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[index * 2] ?? 0) * 256 + (bytes[index * 2 + 1] ?? 0)).toString(16),
  )
  // The shortest form, by the rules that URLs follow.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

async function processOf(inode: string): Promise<number | null> {
  const wanted = `socket:[${inode}]`
  const names = await readdir('/proc').catch(() => [])
  for (const pid of names.filter((name) => /^\d+$/.test(name))) {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
    const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')))
    if (links.includes(wanted)) return Number(pid)
  }
  return null
}

async function publisher(
  port: number,
  { env, signal }: { readonly env: Environment; readonly signal?: AbortSignal },
): Promise<string | null> {
  const argv = ['docker', 'ps', '--filter', `publish=${String(port)}/tcp`, '--format', '{{.Names}}']
  const { stdout } = await run(argv, { env, signal, timeoutMs: 5000 })
  return stdout.split('\n')[0]?.trim() || null
}

async function ownerByLsof(
  port: number,
  options: { readonly env: Environment; readonly signal?: AbortSignal },
): Promise<PortOwner | null> {
  const argv = ['lsof', '-nP', `-iTCP:${String(port)}`, '-sTCP:LISTEN', '-Fpcn']
  const { stdout } = await run(argv, { env: options.env, signal: options.signal, timeoutMs: 5000 })
  const field = (letter: string) =>
    stdout
      .split('\n')
      .find((line) => line.startsWith(letter))
      ?.slice(1)
  const pid = field('p')
  if (pid === undefined) return null
  const address =
    field('n')
      ?.replace(/:\d+$/, '')
      .replace(/^\[(.*)\]$/, '$1') ?? '*'
  return {
    pid: Number(pid),
    command: field('c') ?? null,
    address: address === '*' ? '0.0.0.0' : address,
    container: await publisher(port, options),
  }
}

const readText = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
