import { readFile } from 'node:fs/promises'
import type { RunProgram } from './run.js'

/** Where this machine fetches Debian packages from, and how. */
export interface AptSettings {
  /** Lines of a sources.list for the suite; empty: mmdebstrap's own default. */
  readonly sources: readonly string[]
  /** Proxy settings in apt's own words. */
  readonly options: readonly string[]
}

const FORMAT = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)'

/**
 * Takes the mirror from the machine's own apt, so that a local one is respected. On another system than Debian there is
 * none to take.
 */
export async function readAptSettings(
  suite: string,
  run: RunProgram,
  signal: AbortSignal,
  osRelease = '/etc/os-release',
): Promise<AptSettings> {
  const release = await readFile(osRelease, 'utf8').catch(() => '')
  const codename = /^VERSION_CODENAME="?([a-z]+)/m.exec(release)?.[1]
  const options = await readProxies(run, signal)
  if (!/^ID="?debian"?$/m.test(release) || codename === undefined) return { sources: [], options }
  const argv = ['apt-get', 'indextargets', '--format', FORMAT, 'Created-By: Packages']
  const { exitCode, stdout } = await run({ argv, signal })
  return { sources: exitCode === 0 ? mirrorSources(stdout, codename, suite) : [], options }
}

/** The machine's mirrors, with its release replaced by `suite`. Pure. */
export function mirrorSources(lines: readonly string[], codename: string, suite: string): readonly string[] {
  const found = new Map<string, string>()
  for (const line of lines) {
    const [uri = '', release = '', component, origin = ''] = line.split('|')
    const pocket = [codename, `${codename}-updates`, `${codename}-security`].includes(release)
      ? release.slice(codename.length)
      : null
    if (component !== 'main' || pocket === null || found.has(pocket) || !isDebian(uri, origin)) continue
    found.set(pocket, `deb ${uri.replace(/\/$/, '')} ${suite}${pocket} main`)
  }
  // Without the release itself the rest is of no use.
  return found.has('') ? [...found.values()] : []
}

/** Other vendors use Debian's release names too. Containers can only use a mirror on the network. */
function isDebian(uri: string, origin: string): boolean {
  if (!/^https?:/.test(uri)) return false
  return /^[A-Za-z]/.test(origin) ? origin === 'Debian' : /\/debian(?:-security)?\/?$/.test(uri)
}

async function readProxies(run: RunProgram, signal: AbortSignal): Promise<readonly string[]> {
  const { exitCode, stdout } = await run({ argv: ['apt-config', 'dump'], signal }).catch(() => {
    signal.throwIfAborted()
    // No apt on this system: then mmdebstrap's absence is what gets reported.
    return { exitCode: 1, stdout: [] as readonly string[] }
  })
  return exitCode === 0
    ? stdout.filter((line) => /^Acquire::https?::Proxy(?:::\S+)? "[^"]+";$/i.test(line))
    : []
}
