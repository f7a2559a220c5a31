import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { parseOsRelease } from '../../src/host/bootstrap/machine.js'

/** The release that the bare machine is made of: the one whose own engine is too old. */
const suite = 'bookworm'

/** An image of Debian and nothing else, made from this machine's own mirror; kept under the hash of what made it. */
export async function bareImage(): Promise<string> {
  const sources = await debianSources()
  const hash = createHash('sha256')
    .update(['1', suite, process.arch, ...sources].join('\n'))
    .digest('hex')
    .slice(0, 12)
  const ref = `devstack-bare:${hash}`
  const known = await execa('docker', ['image', 'inspect', ref], { reject: false })
  if (known.exitCode === 0) return ref
  const folder = await mkdtemp(join(tmpdir(), 'devstack-bare-'))
  try {
    const tar = join(folder, 'debian.tar')
    // Its own sources end up in the image, as an installer would leave them.
    await execa(
      'mmdebstrap',
      ['--quiet', '--variant=minbase', suite, tar, ...(sources.length > 0 ? ['-'] : [])],
      {
        input: sources.join('\n'),
      },
    )
    await execa('docker', ['import', tar, ref])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return ref
}

/** `deb` lines for the release, from the mirrors that this machine's apt is set to; none where it is no Debian. */
async function debianSources(): Promise<readonly string[]> {
  const os = parseOsRelease(await readFile('/etc/os-release', 'utf8'))
  if (os['ID'] !== 'debian') return []
  const format = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)'
  const argv = ['indextargets', '--no-release-info', '--format', format, 'Created-By: Packages']
  const { stdout } = await execa('apt-get', argv)
  const own = os['VERSION_CODENAME'] ?? suite
  const lines = stdout.split('\n').flatMap((line) => {
    const [uri = '', release = '', component = ''] = line.split('|')
    const suffix = [own, `${own}-updates`, `${own}-security`].includes(release)
      ? release.slice(own.length)
      : null
    return component === 'main' && suffix !== null ? [`deb ${uri} ${suite}${suffix} main`] : []
  })
  return [...new Set(lines)]
}

/** A folder with Node 20 and its npm, as a machine that has them holds below /usr/local. */
export async function nodeTwenty(folder: string): Promise<void> {
  const packages = [`node-${process.platform}-${process.arch}@20`, 'npm@10']
  await execa('npm', [
    'install',
    '--global',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--loglevel=error',
    ...packages,
  ])
}
