import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { DevstackError } from '../../../core/error.js'

/** What the Docker engine is handed to log in with. */
export interface RegistryCredentials {
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly serveraddress: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** `~/.docker/config.json`, as far as it is read. */
interface DockerConfig {
  readonly auths?: Readonly<
    Record<string, { readonly auth?: string; readonly identitytoken?: string } | undefined>
  >
  readonly credsStore?: string
  readonly credHelpers?: Readonly<Record<string, string | undefined>>
}

/** How helpers are named: nothing else is started. */
const HELPER = /^[a-z0-9][a-z0-9._-]*$/i
const HELPER_MS = 30_000

/**
 * What `docker login` kept for a registry's host, where docker push would look: its own helper, the store of all, the file.
 * Null where nothing is known: then it is asked without.
 * @throws DevstackError CONFIG_INVALID where the file or the helper is of no use
 */
export async function registryCredentials(
  host: string,
  env: Environment,
  signal: AbortSignal,
): Promise<RegistryCredentials | null> {
  const file = join(env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? '/', '.docker'), 'config.json')
  const config = await readConfig(file)
  const helper = config.credHelpers?.[host] ?? config.credsStore
  if (helper !== undefined && helper !== '') {
    const found = await askHelper(helper, host, file, env, signal)
    if (found !== null) return found
  }
  const kept = config.auths?.[host] ?? config.auths?.[`https://${host}`]
  return kept === undefined ? null : fromFile(kept, host)
}

async function readConfig(file: string): Promise<DockerConfig> {
  const content = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as { code?: string }).code === 'ENOENT') return '{}'
    throw unreadable(file, error)
  })
  try {
    const value: unknown = JSON.parse(content)
    return typeof value === 'object' && value !== null ? value : {}
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(file: string, error: unknown): DevstackError {
  const cause = error instanceof Error ? error.message : String(error)
  return new DevstackError('CONFIG_INVALID', `${file} cannot be read`, {
    cause,
    hint: 'the logins of docker are in it: docker login writes it',
  })
}

function fromFile(
  { auth = '', identitytoken = '' }: { readonly auth?: string; readonly identitytoken?: string },
  host: string,
): RegistryCredentials | null {
  if (identitytoken !== '') return { identitytoken, serveraddress: host }
  const plain = Buffer.from(auth, 'base64').toString('utf8').replaceAll('\0', '')
  const colon = plain.indexOf(':')
  if (colon < 1) return null
  return { username: plain.slice(0, colon), password: plain.slice(colon + 1), serveraddress: host }
}

/** Docker's protocol: the host on stdin, JSON on stdout. */
async function askHelper(
  name: string,
  host: string,
  file: string,
  env: Environment,
  signal: AbortSignal,
): Promise<RegistryCredentials | null> {
  const program = `docker-credential-${name}`
  if (!HELPER.test(name)) throw helperFailed(program, file, 'that is no name of a program')
  const limit = AbortSignal.timeout(HELPER_MS)
  const child = spawn(program, ['get'], { env, signal: AbortSignal.any([signal, limit]) })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(host)
  try {
    const [code, out] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
    if (code === 0) return parseAnswer(out, host)
    // It has none for this host.
    if (/credentials not found/i.test(out)) return null
    throw helperFailed(program, file, out.trim().split('\n')[0] ?? `it ended with ${String(code)}`)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof DevstackError) throw error
    const late = limit.aborted ? `it did not answer within ${String(HELPER_MS / 1000)} s` : null
    throw helperFailed(program, file, late ?? (error instanceof Error ? error.message : String(error)))
  }
}

function parseAnswer(out: string, host: string): RegistryCredentials | null {
  const { Username = '', Secret = '' } = JSON.parse(out) as { Username?: string; Secret?: string }
  if (Secret === '') return null
  // An identity token instead of a password.
  if (Username === '<token>') return { identitytoken: Secret, serveraddress: host }
  return { username: Username, password: Secret, serveraddress: host }
}

function helperFailed(program: string, file: string, cause: string): DevstackError {
  return new DevstackError('CONFIG_INVALID', `${program} gives no login`, {
    cause: `${file} names it: ${cause}`,
    hint: 'docker push needs it too: install it, or docker login without it',
  })
}
