import { Agent } from 'node:https'
import { createSecureContext } from 'node:tls'

/** How an API server is reached, and how it is shown who asks. */
export interface KubeAccess {
  /** `https://127.0.0.1:40123`, without a slash at the end. */
  readonly server: string
  /** What to try where it does not answer. */
  readonly whenGone?: string
  /** Asked before each request: a token that ran out is got anew. */
  credentials(signal: AbortSignal): Promise<KubeCredentials>
}

/** What one request is sent with. */
export interface KubeCredentials {
  readonly agent: Agent
  readonly headers: Readonly<Record<string, string>>
}

/** Who the server is, and the certificate that it knows us by. All PEM. */
export interface KubeIdentity {
  readonly server: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** The system looks after a peer that vanished; an idle connection costs no processor time. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 30_000 } as const

/**
 * Access by a client certificate, as kind's own clusters have it. The server must prove the given CA before anything is sent,
 * and nothing of the environment (proxies, NODE_TLS_REJECT_UNAUTHORIZED) changes that.
 */
export function certificateAccess({ server, ca, cert, key }: KubeIdentity): KubeAccess {
  let credentials: KubeCredentials | null = null
  const make = (): KubeCredentials => {
    // Made of certificates and key once: for each connection anew it costs as much as the rest of its handshake.
    const secureContext = createSecureContext({ ca, cert, key })
    const options = { ...KEEP_ALIVE, secureContext, rejectUnauthorized: true }
    return { agent: new Agent(options), headers: {} }
  }
  return {
    server,
    // What is no certificate is told to who sends the first request.
    credentials: () => new Promise((resolve) => resolve((credentials ??= make()))),
  }
}
