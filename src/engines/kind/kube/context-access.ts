import { Agent } from 'node:https'
import type { RequestOptions } from 'node:https'
import { DevstackError } from '../../../core/error.js'
import { KEEP_ALIVE } from './access.js'
import type { KubeAccess, KubeCredentials } from './access.js'

/** A context of the user's own kubeconfig, as devstack.yaml names it. */
export interface ContextRequest {
  /** Absolute paths of kubeconfig files: the first one that has a name counts. */
  readonly kubeconfigs: readonly string[]
  readonly context: string
  /** The server that the configuration names: the context must lead there and nowhere else. */
  readonly server: string
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
      throw new DevstackError('CONFIG_INVALID', `the kubeconfig ${file} cannot be read`, { cause })
    }
    config.contexts.push(...one.contexts)
    config.clusters.push(...one.clusters)
    config.users.push(...one.users)
  }
  if (config.getContextObject(request.context) === null) throw noContext(request, config.contexts)
  config.setCurrentContext(request.context)
  const cluster = config.getCurrentCluster()
  const server = cluster?.server.replace(/\/+$/, '') ?? ''
  if (server !== request.server.replace(/\/+$/, '')) throw elsewhere(request, server)
  if (cluster?.skipTLSVerify === true || !server.startsWith('https://')) throw unproven(request, server)
  const agents = createAgents(cluster?.proxyUrl !== undefined)
  return {
    server,
    async credentials() {
      const options: RequestOptions = {}
      await config.applyToHTTPSOptions(options)
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

function noContext(
  { context, kubeconfigs }: ContextRequest,
  known: readonly { name: string }[],
): DevstackError {
  return new DevstackError('CONFIG_INVALID', `there is no context ${context}`, {
    cause: `${kubeconfigs.join(', ')} has ${known.map(({ name }) => name).join(', ') || 'none'}`,
    hint: 'name one of them as context of engine kubernetes in devstack.yaml',
  })
}

function elsewhere({ context, server }: ContextRequest, found: string): DevstackError {
  return new DevstackError('CONFIG_INVALID', `the context ${context} leads to another server`, {
    cause: `to ${found === '' ? 'none' : found}, and devstack.yaml names ${server}`,
    hint: 'nothing was sent; see which of the two is right',
  })
}

function unproven({ context }: ContextRequest, server: string): DevstackError {
  return new DevstackError('CONFIG_INVALID', `the context ${context} does not prove its server`, {
    cause: `${server} is not asked for a certificate of its authority`,
    hint: 'give its cluster certificate-authority-data instead of insecure-skip-tls-verify',
  })
}
