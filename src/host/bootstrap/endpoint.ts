import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Environment } from './command.js'

/** Where the engine is reached. */
export interface EngineEndpoint {
  /** As DOCKER_HOST has it: `unix:///var/run/docker.sock`. */
  readonly host: string
  /** The socket's path, or null where it is no local socket. */
  readonly socketPath: string | null
  readonly source: 'DOCKER_HOST' | 'context' | 'default'
  /** The context's name where one says so. */
  readonly context: string | null
  /** True where the engine is on another machine. */
  readonly remote: boolean
}

/** What an endpoint answers. */
export type EngineAnswer =
  | { readonly state: 'running'; readonly version: string; readonly apiVersion: string }
  /** Nobody listens there. */
  | { readonly state: 'silent'; readonly cause: string }
  /** Somebody listens, and this user may not talk to it. */
  | { readonly state: 'denied'; readonly cause: string }

const standard = 'unix:///var/run/docker.sock'

/** Resolves the endpoint: DOCKER_HOST, else the client's current context, else the standard socket. Resolve it once. */
export async function engineEndpoint(env: Environment, signal?: AbortSignal): Promise<EngineEndpoint> {
  const host = env['DOCKER_HOST']
  if (host !== undefined && host !== '') return endpoint(host, 'DOCKER_HOST', null)
  if (!(await namesContext(env))) return endpoint(standard, 'default', null)
  const { run, which } = await import('./command.js')
  if ((await which('docker', env)) === null) return endpoint(standard, 'default', null)
  const format = '{{json .Name}} {{json .Endpoints.docker.Host}}'
  const result = await run(['docker', 'context', 'inspect', '--format', format], {
    env,
    signal,
    timeoutMs: 10_000,
  })
  const match = /^"(.*)" "(.+)"$/m.exec(result.stdout)
  if (!result.ok || match === null) return endpoint(standard, 'default', null)
  const [, name = '', contextHost = standard] = match
  return endpoint(contextHost, name === 'default' ? 'default' : 'context', name)
}

/** Whether somebody chose a context; asking the client costs 50 ms, and on most machines nobody did. */
async function namesContext(env: Environment): Promise<boolean> {
  if ((env['DOCKER_CONTEXT'] ?? '') !== '') return true
  const folder = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker')
  const text = await readFile(join(folder, 'config.json'), 'utf8').catch(() => '')
  return text.includes('"currentContext"')
}

function endpoint(host: string, source: EngineEndpoint['source'], context: string | null): EngineEndpoint {
  const url = URL.canParse(host) ? new URL(host) : null
  const socketPath = host.startsWith('unix://') ? host.slice('unix://'.length) : null
  const loopback = url?.protocol === 'tcp:' && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  const pipe = host.startsWith('npipe://')
  return { host, socketPath, source, context, remote: socketPath === null && !loopback && !pipe }
}

/**
 * Refuses an engine on another machine: bind mounts and loopback ports would be there, not here.
 * @throws DevstackError MACHINE_UNSUPPORTED
 */
export function requireLocal(found: EngineEndpoint): void {
  if (!found.remote) return
  const said = found.source === 'DOCKER_HOST' ? 'DOCKER_HOST' : `the Docker context ${found.context ?? ''}`
  throw new DevstackError('MACHINE_UNSUPPORTED', `${said} names an engine on another machine`, {
    cause: `${found.host}: the project's folders and the published ports would be there, not here`,
    hint: found.source === 'DOCKER_HOST' ? 'unset DOCKER_HOST' : 'docker context use default',
  })
}

/** Asks the engine for its version. Never throws for an engine that does not answer. */
export async function pingEngine(
  found: EngineEndpoint,
  env: Environment,
  signal?: AbortSignal,
): Promise<EngineAnswer> {
  if (found.socketPath !== null) return askSocket(found.socketPath, signal)
  // TLS and ssh are the client's business.
  const { run } = await import('./command.js')
  const format = '{{.Server.Version}} {{.Server.APIVersion}}'
  const result = await run(['docker', '--host', found.host, 'version', '--format', format], {
    env,
    signal,
    timeoutMs: 15_000,
  })
  const [version = '', apiVersion = ''] = result.stdout.trim().split(' ')
  return result.ok && version !== ''
    ? { state: 'running', version, apiVersion }
    : { state: 'silent', cause: result.lastLines.at(-1) ?? 'no answer' }
}

async function askSocket(socketPath: string, signal?: AbortSignal): Promise<EngineAnswer> {
  try {
    const body = await get(socketPath, '/version', signal)
    const { Version, ApiVersion } = JSON.parse(body) as {
      readonly Version?: string
      readonly ApiVersion?: string
    }
    if (Version === undefined)
      return { state: 'silent', cause: `${socketPath} answers, but it is no Docker engine` }
    return { state: 'running', version: Version, apiVersion: ApiVersion ?? '' }
  } catch (error) {
    signal?.throwIfAborted()
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EACCES' || code === 'EPERM')
      return { state: 'denied', cause: `${socketPath}: permission denied` }
    const why =
      code === 'ENOENT'
        ? 'there is no such socket'
        : code === 'ECONNREFUSED'
          ? 'nobody listens on it'
          : (error as Error).message
    return { state: 'silent', cause: `${socketPath}: ${why}` }
  }
}

function get(socketPath: string, path: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { socketPath, path, timeout: 5000, ...(signal === undefined ? {} : { signal }) }
    const asked = request(options, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => (body += text))
      answer.on('end', () => {
        resolve(body)
      })
      answer.on('error', reject)
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer within 5 s')))
    asked.on('error', reject)
    asked.end()
  })
}
