import { mkdir, mkdtemp, readdir, symlink, writeFile, chmod } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Environment, RunOptions } from './command.js'
import { run } from './command.js'
import type { Machine } from './machine.js'
import { asRoot } from './machine.js'

/** What a simulated installation would do. */
interface Simulation {
  readonly installs: readonly string[]
  readonly upgrades: readonly {
    readonly name: string
    readonly from: string
    readonly to: string
    readonly origin: string
  }[]
  readonly removes: readonly string[]
  readonly downgrades: readonly string[]
}

/** Reads what `apt-get -s install` printed. */
function parseSimulation(text: string): Simulation {
  const lines = text.split('\n')
  const installed = lines
    .map((line) => /^Inst (\S+) (?:\[(\S+)\] )?\((\S+) ([^[)]*)/.exec(line))
    .filter((match) => match !== null)
  const downgraded = lines.findIndex((line) => line.includes('will be DOWNGRADED'))
  const rest = downgraded < 0 ? [] : lines.slice(downgraded + 1)
  const end = rest.findIndex((line) => !line.startsWith(' '))
  return {
    installs: installed.filter(([, , from]) => from === undefined).map(([, name = '']) => name),
    upgrades: installed
      .filter(([, , from]) => from !== undefined)
      .map(([, name = '', from = '', to = '', origin = '']) => ({ name, from, to, origin: origin.trim() })),
    removes: lines.map((line) => /^(?:Remv|Purg) (\S+)/.exec(line)?.[1]).filter((name) => name !== undefined),
    downgrades: rest.slice(0, end < 0 ? rest.length : end).flatMap((line) => line.trim().split(/\s+/)),
  }
}

// A newer release's own runtime may come along; its libc may not.
const mayUpgrade = new Set([
  'docker.io',
  'docker-cli',
  'docker-compose',
  'docker-buildx',
  'containerd',
  'runc',
  'tini',
  'iptables',
])

/** Why an installation must not be done, or null. `newer`: the number of a release that is not the machine's own. */
function refusal(simulation: Simulation, newer: string | null): string | null {
  if (simulation.removes.length > 0) return `it would remove ${simulation.removes.join(', ')}`
  if (simulation.downgrades.length > 0) return `it would downgrade ${simulation.downgrades.join(', ')}`
  const foreign = simulation.upgrades.filter(
    ({ name, origin }) => newer !== null && !mayUpgrade.has(name) && origin.includes(`Debian:${newer}`),
  )
  return foreign.length === 0
    ? null
    : `it would upgrade ${foreign.map(({ name }) => name).join(', ')} to Debian ${newer ?? ''}`
}

/** Packages of an engine's vendor: never replaced. */
const vendorPackages = ['docker-ce', 'docker-ce-cli', 'docker-desktop', 'moby-engine', 'moby-cli']

/** The vendor's packages that are installed. */
export async function installedVendorPackages(
  env: Environment,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const format = '${db:Status-Abbrev} ${Package}\\n'
  const { stdout } = await run(['dpkg-query', '-W', '-f', format, ...vendorPackages], { env, signal })
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('ii'))
    .map((line) => line.slice(2).trim())
}

/** One way to call apt-get: the machine's own configuration, or a private one beside it. */
export interface Apt {
  /** Words before the verb. */
  readonly words: readonly string[]
  /** `/RELEASE` behind a package's name, or empty. */
  readonly release: string
  /** Takes the private configuration away again. */
  readonly remove: () => Promise<void>
}

export const ownApt: Apt = { words: [], release: '', remove: () => Promise.resolve() }

/** The sources that apt-get itself is configured with. */
async function sources(
  env: Environment,
  signal: AbortSignal,
): Promise<readonly { uri: string; release: string }[]> {
  const format = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)'
  const argv = ['apt-get', 'indextargets', '--no-release-info', '--format', format, 'Created-By: Packages']
  const { stdout } = await run(argv, { env, signal })
  const rows = [...new Set(stdout.split('\n'))].map((line) => line.split('|'))
  return rows
    .filter(([, , component]) => component === 'main')
    .map(([uri = '', release = '']) => ({ uri, release }))
}

/**
 * A private apt configuration that also knows a newer release of Debian, from the machine's own mirror and pinned below
 * everything. It lives in a temporary folder; nothing is put into /etc/apt.
 * @throws DevstackError MACHINE_UNSUPPORTED where the machine has no Debian mirror of its own
 */
export async function privateApt(
  machine: Machine,
  release: string,
  env: Environment,
  signal: AbortSignal,
): Promise<Apt> {
  const codename = machine.os['VERSION_CODENAME'] ?? ''
  const known = await sources(env, signal)
  const lines = ['', '-updates', '-security'].flatMap((suffix) =>
    known
      .filter((source) => source.release === codename + suffix)
      .map(
        ({ uri }) =>
          `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${uri} ${release}${suffix} main`,
      ),
  )
  if (lines.length === 0) {
    throw new DevstackError('MACHINE_UNSUPPORTED', `apt has no Debian mirror for ${codename} here`, {
      cause: 'its sources name no main component of this release',
      hint: 'see /etc/apt/sources.list.d, or install Docker Engine 25 or newer yourself',
    })
  }
  const folder = await mkdtemp(join(tmpdir(), 'devstack-apt-'))
  await fill(folder, release, lines)
  if (existsSync('/var/lib/apt/lists')) {
    // What the machine's own apt knows already is not fetched again.
    await run(asRoot(machine, ['cp', '-a', '/var/lib/apt/lists/.', join(folder, 'lists')]), { env, signal })
  }
  return {
    words: ['-c', join(folder, 'apt.conf')],
    release: `/${release}`,
    // Root's apt wrote into it. No signal: it goes away also when the user stops us.
    remove: async () => void (await run(asRoot(machine, ['rm', '-rf', '--', folder]), { env })),
  }
}

async function fill(folder: string, release: string, lines: readonly string[]): Promise<void> {
  await chmod(folder, 0o755)
  for (const part of ['sources', 'preferences', 'lists']) await mkdir(join(folder, part))
  await mkdir(join(folder, 'lists/partial'))
  await linkAll('/etc/apt/sources.list.d', join(folder, 'sources'))
  await linkAll('/etc/apt/preferences.d', join(folder, 'preferences'))
  await writeFile(join(folder, 'sources', `devstack-${release}.list`), lines.join('\n') + '\n')
  const pin = `Package: *\nPin: release n=${release}*\nPin-Priority: 50\n`
  await writeFile(join(folder, 'preferences', `devstack-${release}`), pin)
  const settings = {
    'Dir::Etc::sourceparts': join(folder, 'sources/'),
    'Dir::Etc::preferencesparts': join(folder, 'preferences/'),
    'Dir::State::lists': join(folder, 'lists/'),
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
  }
  const text = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`)
  await writeFile(join(folder, 'apt.conf'), text.join(''))
}

async function linkAll(from: string, to: string): Promise<void> {
  for (const name of await readdir(from).catch(() => [])) await symlink(join(from, name), join(to, name))
}

const patience = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Use-Pty=0']

/** `apt-get install`, as it is run and as a person would type it. */
export function installArgv(apt: Apt, packages: readonly string[]): readonly string[] {
  const names = packages.map((name) => name + (name === 'iptables' ? '' : apt.release))
  return [
    'apt-get',
    ...apt.words,
    'install',
    '-y',
    '--no-install-recommends',
    '--no-remove',
    ...patience,
    '--',
    ...names,
  ]
}

/**
 * Installs packages: fresh lists, a simulation, and only then the real thing.
 * @throws DevstackError MACHINE_UNSUPPORTED where the simulation shows what must not happen, OPERATION_FAILED otherwise
 */
export async function install(
  machine: Machine,
  apt: Apt,
  packages: readonly string[],
  newer: string | null,
  options: RunOptions & {
    readonly signal: AbortSignal
    /** What somebody would do instead. */
    readonly byHand?: string
  },
): Promise<void> {
  const env = { ...options.env, DEBIAN_FRONTEND: 'noninteractive' }
  const root = (argv: readonly string[]) =>
    asRoot(machine, ['env', 'DEBIAN_FRONTEND=noninteractive', ...argv])
  await demand(
    root(['apt-get', ...apt.words, 'update', ...patience]),
    { ...options, env },
    'apt-get update failed',
  )
  const argv = installArgv(apt, packages)
  const simulated = await demand(
    ['apt-get', '-s', ...argv.slice(1)],
    { ...options, env },
    'the packages cannot be installed',
  )
  const why = refusal(parseSimulation(simulated), newer)
  if (why !== null) {
    throw new DevstackError('MACHINE_UNSUPPORTED', `not installing ${packages.join(', ')}`, {
      cause: `${why}; devstack does not do that`,
      hint: options.byHand ?? 'install Docker Engine 25 or newer, Compose 2.24 or newer and buildx yourself',
    })
  }
  // Not ended half way by the signal: dpkg would be left in the middle of a package.
  await demand(
    root(argv),
    { env, ...(options.onLine === undefined ? {} : { onLine: options.onLine }) },
    'apt-get install failed',
  )
  options.signal.throwIfAborted()
}

async function demand(argv: readonly string[], options: RunOptions, message: string): Promise<string> {
  const result = await run(argv, options)
  if (result.ok) return result.stdout
  throw new DevstackError('MACHINE_UNSUPPORTED', message, {
    cause: `${argv.join(' ')}\n${result.lastLines.join('\n')}`,
    hint: 'see whether the package mirror is reached, and that no other package manager runs',
  })
}
