import { DevstackError } from '../core/error.js'
import { connectSession, type SessionClient } from '../host/session/client.js'
import type { StackRef } from './stack.js'

/**
 * Does `work` with the session that runs.
 * @throws DevstackError SERVICE_FAILED where none runs; `what` says what only a session has
 */
export async function withRunning<T>(
  stack: StackRef,
  what: string,
  work: (client: SessionClient) => Promise<T>,
): Promise<T> {
  const client = await connectSession(stack.socketPath)
  if (client === null)
    throw new DevstackError('SERVICE_FAILED', `no session of ${stack.name} runs`, {
      cause: `${what} known to the session that watches its sources`,
      hint: 'devstack up --detach',
    })
  try {
    if (Object.keys(client.getState().services).length === 0) await client.send({ type: 'look' })
    return await work(client)
  } finally {
    client.close()
  }
}
