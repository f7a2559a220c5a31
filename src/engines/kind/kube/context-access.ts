import { Agent } from 'node:https'
import type { RequestOptions } from 'node:https'
import { DevstackError } from '../../../core/error.js'
import type { SourcePosition } from '../../../core/error.js'
import { KEEP_ALIVE } from './access.js'
import type { KubeAccess, KubeCredentials } from './access.js'

/** A context of the user's own kubeconfig, as devstack.yaml names it. */
export interface ContextRequest {
  /** Absolute paths of kubeconfig files: the first one that has a name counts. */
  readonly kubeconfigs: readonly string[]
  readonly context: string
  /** The server that the configuration names: the context must lead there and nowhere else. */
  readonly server: string
  /** Where devstack.yaml says it. */
  readonly at?: (key: 'context' | 'server' | 'namespace') => Promise<SourcePosition | null>
}

/**
 * Access to a cluster that is not ours, for `engine: kubernetes`: client certificates, tokens, programs that give them and
 * proxies, as kubectl would use them. The current context is never used.
 * @throws DevstackError CONFIG_INVALID where the context is not there or leads elsewhere
 */
export async function contextAccess(request: ContextRequest): Promise<KubeAccess> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js')
  const config = new KubeConfig()
  for (const file of request.kubeconfigs) {
    const one = new KubeConfig()
    try {
      one.loadFromFile(file)
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error)
      const hint = 'KUBECONFIG names it, else it is ~/.kube/config: get one from who runs the cluster'
      throw new DevstackError('CONFIG_INVALID', `the kubeconfig ${file} cannot be read`, { cause, hint })
    }
    config.contexts.push(...one.contexts)
    config.clusters.push(...one.clusters)
    config.users.push(...one.users)
  }
  if (config.getContextObject(request.context) === null) throw await noContext(request, config.contexts)
  config.setCurrentContext(request.context)
  const cluster = config.getCurrentCluster()
  const server = cluster?.server.replace(/\/+$/, '') ?? ''
  if (server !== request.server.replace(/\/+$/, '')) throw await elsewhere(request, server)
  if (cluster?.skipTLSVerify === true || !server.startsWith('https://')) throw await unproven(request, server)
  const agents = createAgents(cluster?.proxyUrl !== undefined)
  return {
    server,
    whenGone: `see whether this machine reaches it: kubectl --context ${request.context} version`,
    async credentials() {
      const options: RequestOptions = {}
      try {
        await config.applyToHTTPSOptions(options)
      } catch (error) {
        throw noCredentials(request, error)
      }
      return { agent: agents(options), headers: { ...(options.headers as KubeCredentials['headers']) } }
    },
  }
}

/** The library's own agents keep no connection; one is enough until a certificate is renewed. */
function createAgents(proxied: boolean): (options: RequestOptions) => Agent {
  let last: { readonly of: string; readonly agent: Agent } | null = null
  return (options) => {
    if (proxied) return options.agent as Agent
    const { ca, cert, key, passphrase, servername } = options
    const of = [cert, key].map(String).join('\n')
    if (last?.of !== of) {
      const identity = { ca, cert, key, passphrase, servername, rejectUnauthorized: true }
      last = { of, agent: new Agent({ ...KEEP_ALIVE, ...identity }) }
    }
    return last.agent
  }
}

/** A program that gives tokens is not there, or fails; a file of it is gone. */
function noCredentials({ context }: ContextRequest, error: unknown): DevstackError {
  return new DevstackError('ENGINE_GONE', `the context ${context} gives no credentials`, {
    cause: error instanceof Error ? error.message : String(error),
    hint: `see whether this says more: kubectl --context ${context} version`,
  })
}

async function noContext(
  request: ContextRequest,
  known: readonly { readonly name: string }[],
): Promise<DevstackError> {
  const { context, kubeconfigs } = request
  return await refused(request, 'context', `there is no context ${context}`, {
    cause: `${kubeconfigs.join(', ')} has ${known.map(({ name }) => name).join(', ') || 'none'}`,
    hint: 'name one of them under kubernetes.context in devstack.yaml, or get its kubeconfig from who runs the cluster',
  })
}

async function elsewhere(request: ContextRequest, found: string): Promise<DevstackError> {
  const { context, server } = request
  return await refused(request, 'server', `the context ${context} leads to another server`, {
    cause: `to ${found === '' ? 'none' : found}, and devstack.yaml names ${server}`,
    hint: 'nothing was sent; see which of the two is right',
  })
}

async function unproven(request: ContextRequest, server: string): Promise<DevstackError> {
  return await refused(request, 'context', `the context ${request.context} does not prove its server`, {
    cause: `${server} is not asked for a certificate of its authority`,
    hint: 'nothing was sent; give its cluster certificate-authority-data instead of insecure-skip-tls-verify',
  })
}

async function refused(
  { at }: ContextRequest,
  key: 'context' | 'server',
  message: string,
  { cause, hint }: { readonly cause: string; readonly hint: string },
): Promise<DevstackError> {
  return new DevstackError('CONFIG_INVALID', message, { cause, hint, at: (await at?.(key)) ?? null })
}
