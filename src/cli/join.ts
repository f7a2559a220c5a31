import { DevstackError } from '../core/error.js'
import { connectSession, type SessionClient } from '../host/session/client.js'
import type { StackRef } from './stack.js'
import { build } from './version.js'

type Socketed = Pick<StackRef, 'name' | 'socketPath'>

/**
 * The session that runs, or null.
 * @throws DevstackError UNSUPPORTED where it is of another build: what it tells may have another shape
 */
export async function joinSession({ name, socketPath }: Socketed): Promise<SessionClient | null> {
  const client = await connectSession(socketPath)
  if (client === null || client.hello.build === build) return client
  client.close()
  const { pid, version } = client.hello
  throw new DevstackError('UNSUPPORTED', `the running session of ${name} is of another build of devstack`, {
    cause: `pid ${String(pid)} was started by devstack ${version} before it was replaced`,
    hint: 'devstack up --detach ends it, leaves the containers running and starts another',
  })
}

/** The session that runs; null where none does, and where it is of another build, for who can do without one. */
export async function joinReadable(stack: Socketed): Promise<SessionClient | null> {
  return joinSession(stack).catch((error: unknown) => {
    if (error instanceof DevstackError && error.code === 'UNSUPPORTED') return null
    throw error
  })
}

/**
 * Does `work` with the session that runs.
 * @throws DevstackError SERVICE_FAILED where none runs; `what` says what only a session has
 */
export async function withRunning<T>(
  stack: StackRef,
  what: string,
  work: (client: SessionClient) => Promise<T>,
): Promise<T> {
  const client = await joinSession(stack)
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
