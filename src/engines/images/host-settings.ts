import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Certificates that the host is told to trust in addition to those of its system, or instead of them. */
export interface HostCa {
  /** PEM files, each once. */
  readonly files: readonly string[]
  /** Their contents, one after the other. */
  readonly pem: string
  readonly sha256: string
}

type Env = Readonly<Record<string, string | undefined>>

/** Where programs are told about certificates; the order is that of the bundle. */
const CA_VARIABLES: readonly string[] = [
  'SSL_CERT_FILE',
  'PIP_CERT',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'npm_config_cafile',
  'NODE_EXTRA_CA_CERTS',
]

/** The host's own certificates, or null where nothing names any. */
export async function readHostCa(env: Env): Promise<HostCa | null> {
  const home = env['HOME'] ?? homedir()
  const named = [...CA_VARIABLES.map((name) => env[name]), await npmCaFile(join(home, '.npmrc'))]
  const files: string[] = []
  const texts: string[] = []
  for (const file of new Set(named)) {
    if (file === undefined || file === '') continue
    const text = await readFile(file, 'utf8').catch(() => null)
    // The same bundle often stands under several names.
    if (text === null || !text.includes('-----BEGIN CERTIFICATE-----') || texts.includes(text)) continue
    files.push(file)
    texts.push(text)
  }
  if (files.length === 0) return null
  const pem = texts.join('\n')
  return { files, pem, sha256: createHash('sha256').update(pem).digest('hex') }
}

async function npmCaFile(npmrc: string): Promise<string | undefined> {
  const text = await readFile(npmrc, 'utf8').catch(() => '')
  return /^\s*cafile\s*=\s*"?([^"\n]+?)"?\s*$/m.exec(text)?.[1]
}

/** Maven's own settings of this user, where there are some. */
export async function findMavenSettings(env: Env): Promise<string | null> {
  const file = join(env['HOME'] ?? homedir(), '.m2', 'settings.xml')
  return await readFile(file).then(
    () => file,
    () => null,
  )
}
