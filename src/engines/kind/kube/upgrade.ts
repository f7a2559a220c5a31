import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import type { KubeAccess } from './access.js'
import { KubeError, parseStatus } from './errors.js'
import { DEADLINES, unreachable } from './transport.js'
import type { Deadlines } from './transport.js'

export interface UpgradeRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** For a failure. */
  readonly doing: string
}

/** A connection that no longer speaks HTTP, and what came together with the server's consent. */
export interface Upgraded {
  readonly socket: Duplex
  readonly head: Buffer
}

/**
 * Asks the server to speak another protocol.
 * @throws DevstackError OPERATION_FAILED where it refuses, ENGINE_GONE where it does not answer
 */
export async function upgrade(
  access: KubeAccess,
  { path, headers, doing }: UpgradeRequest,
  signal: AbortSignal,
  { dialMs }: Deadlines = DEADLINES,
): Promise<Upgraded> {
  signal.throwIfAborted()
  const { agent, headers: own } = await access.credentials(signal)
  try {
    return await new Promise<Upgraded>((resolve, reject) => {
      const sent = httpsRequest(access.server + path, {
        method: 'POST',
        agent,
        signal,
        headers: { ...own, ...headers, Connection: 'Upgrade', 'Content-Length': 0 },
      })
      const late = Object.assign(new Error(`no connection within ${String(dialMs / 1000)} s`), {
        code: 'ETIMEDOUT',
      })
      const deadline = setTimeout(() => sent.destroy(late), dialMs)
      sent.once('close', () => clearTimeout(deadline))
      sent.once('upgrade', (_response, socket, head) => {
        clearTimeout(deadline)
        resolve({ socket, head })
      })
      sent.once('response', (response) => void refusalOf(response, doing).then(reject, reject))
      sent.once('error', reject)
      sent.end()
    })
  } catch (error) {
    signal.throwIfAborted()
    throw unreachable(error, access)
  }
}

async function refusalOf(response: IncomingMessage, doing: string): Promise<Error> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const answer = parseStatus(Buffer.concat(chunks).toString('utf8'))
  return new KubeError(response.statusCode ?? 0, answer, doing, 'OPERATION_FAILED')
}
