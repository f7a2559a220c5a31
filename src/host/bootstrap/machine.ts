import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import type { Environment } from './command.js'
import { run, which } from './command.js'

/** What the machine is, as far as bringing an engine depends on it. */
export interface Machine {
  readonly platform: NodeJS.Platform
  /** `/etc/os-release`, or empty. */
  readonly os: Readonly<Record<string, string>>
  readonly isRoot: boolean
  readonly user: string
  readonly hasSudo: boolean
  /** True where systemd runs as the first process. */
  readonly hasSystemd: boolean
  readonly hasApt: boolean
}

/** Reads what the machine is. */
export async function readMachine(env: Environment): Promise<Machine> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const { uid, username } = userInfo()
  return {
    platform: process.platform,
    os: parseOsRelease(release),
    isRoot: uid === 0,
    user: username,
    hasSudo: (await which('sudo', env)) !== null,
    hasSystemd: existsSync('/run/systemd/system'),
    hasApt: (await which('apt-get', env)) !== null,
  }
}

/** `KEY="value"` lines, as os-release(5) has them. */
export function parseOsRelease(text: string): Readonly<Record<string, string>> {
  const pairs = text.split('\n').map((line) => /^([A-Z_0-9]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim()))
  return Object.fromEntries(
    pairs.filter((match) => match !== null).map(([, key = '', a, b, c]) => [key, a ?? b ?? c ?? '']),
  )
}

/** Where an engine's packages come from. */
export type PackageSource =
  | { readonly kind: 'own'; readonly packages: Readonly<Record<Component, readonly string[]>> }
  /** A newer release of Debian, by a private apt configuration. */
  | {
      readonly kind: 'newer'
      readonly release: string
      readonly packages: Readonly<Record<Component, readonly string[]>>
    }
  | { readonly kind: 'none'; readonly reason: string; readonly hint: string }

/** The parts of an engine that can lack one by one. */
export type Component = 'engine' | 'client' | 'compose' | 'buildx'

const debianPackages = {
  engine: ['docker.io', 'iptables'],
  client: ['docker-cli'],
  compose: ['docker-compose'],
  buildx: ['docker-buildx'],
} as const

// Ubuntu's docker.io carries the client.
const ubuntuPackages = {
  engine: ['docker.io', 'iptables'],
  client: ['docker.io'],
  compose: ['docker-compose-v2'],
  buildx: ['docker-buildx'],
} as const

/** Decides where this machine's packages come from. */
export function packageSource(machine: Machine): PackageSource {
  const { os, platform } = machine
  if (platform === 'darwin') {
    return none(
      'this is macOS',
      'install Docker Desktop, OrbStack or Colima (brew install colima docker docker-compose docker-buildx; colima start)',
    )
  }
  if (platform === 'win32')
    return none('this is Windows', 'run devstack inside WSL 2: wsl --install -d Debian')
  const like = `${os['ID'] ?? ''} ${os['ID_LIKE'] ?? ''}`.split(' ')
  const name = os['PRETTY_NAME'] ?? 'this system'
  if (!machine.hasApt || !like.some((word) => word === 'debian' || word === 'ubuntu')) {
    return none(
      `${name} is neither Debian nor Ubuntu`,
      "install Docker Engine 25 or newer, Compose 2.24 or newer and buildx with this system's package manager",
    )
  }
  if (like.includes('ubuntu')) return { kind: 'own', packages: ubuntuPackages }
  if (os['VERSION_CODENAME'] === 'bookworm')
    return { kind: 'newer', release: 'trixie', packages: debianPackages }
  // Testing and unstable have no number.
  const version = Number(os['VERSION_ID'] ?? 'Infinity')
  if (version >= 13) return { kind: 'own', packages: debianPackages }
  return none(`${name} is too old for Docker Engine 25`, 'upgrade to Debian 12 or newer')
}

function none(reason: string, hint: string): PackageSource {
  return { kind: 'none', reason, hint }
}

/** `sudo` before a command where the user is not root. */
export function asRoot(machine: Machine, argv: readonly string[]): readonly string[] {
  return machine.isRoot ? argv : ['sudo', '--', ...argv]
}

/** True where commands can be run as root now, without a question. */
export async function rootNow(machine: Machine, env: Environment, signal: AbortSignal): Promise<boolean> {
  if (machine.isRoot) return true
  return machine.hasSudo && (await run(['sudo', '-n', 'true'], { env, signal })).ok
}

/** The user is listed in the group, whether or not this process has it yet. */
export async function inGroup(user: string, group: string): Promise<boolean> {
  const text = await readFile('/etc/group', 'utf8').catch(() => '')
  const line = text.split('\n').find((entry) => entry.startsWith(`${group}:`))
  return line?.split(':')[3]?.split(',').includes(user) ?? false
}
