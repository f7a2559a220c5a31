import { spawn } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, truncateSync, statSync, closeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DevstackError } from '../core/error.js'
import { connectSession, type SessionClient } from '../host/session/client.js'
import type { Server } from './io.js'
import { servedBy, type StackRef } from './stack.js'
import { build } from './version.js'

const LOG_LIMIT = 1024 * 1024
/** What a session takes at most from giving up its work to hanging up. */
const END_MS = 5000

export interface Joined {
  readonly client: SessionClient
  /** True where this call started the session. */
  readonly started: boolean
}

const ENDING_TRIES = 20

/**
 * Joins the stack's session, or starts one as a process of its own and joins that. `fromStart`: hear a new one's first Events.
 * `server`: where it is asked for, a session that was started with another one gives way.
 */
export async function ensureSession(
  stack: StackRef,
  env: Readonly<Record<string, string | undefined>>,
  { fromStart, server }: { readonly fromStart: boolean; readonly server: Server | null },
): Promise<Joined> {
  for (let started = false, tries = 0; ; tries += 1) {
    const client = await joinCurrent(stack, fromStart, server).catch((error: unknown) => {
      // It was about to end as it was joined: the next look finds none.
      if (tries >= ENDING_TRIES) throw error
      ignoreLost(error)
      return 'ending' as const
    })
    if (client === 'ending') {
      await sleep(50)
      continue
    }
    if (client?.hello.lasting === true) return { client, started }
    if (client !== null) {
      // Another command acts on the stack right now.
      await client.closed
    } else if (started) {
      throw lost(stack)
    } else {
      started = await startSession(stack, env)
    }
  }
}

/**
 * The session that runs, or null. One of a bundle that was replaced since cannot load its parts any more: it is ended, and
 * leaves the containers running. So is one with another server than the one that is asked for.
 */
async function joinCurrent(
  stack: StackRef,
  fromStart = false,
  server: Server | null = null,
): Promise<SessionClient | null> {
  const client = await connectSession(stack.socketPath, fromStart)
  if (client === null) return null
  const serves = server === null || !client.hello.lasting || server === servedBy(stack.stateFolder)
  if (serves && client.hello.build === build) return client
  await client.send({ type: 'leave' }).catch(ignoreLost)
  await client.closed
  return null
}

/**
 * The running session, or else one inside this process that ends with `work`: for verbs that act on a stack which nobody
 * watches. The containers keep running. `again`: where the session ends meanwhile, `work` is done once more with another.
 */
export async function withSession<T>(
  stack: StackRef,
  env: Readonly<Record<string, string | undefined>>,
  work: (client: SessionClient) => Promise<T>,
  again = false,
): Promise<T> {
  for (;;) {
    const running = await joinCurrent(stack)
    try {
      return running === null ? await workInside(stack, env, work) : await work(running)
    } catch (error) {
      // Another session listened a moment before ours.
      const late = running === null && error instanceof DevstackError && error.code === 'LOCKED'
      if (!late && !(again && (await isOver(error, running)))) throw error
    } finally {
      running?.close()
    }
  }
}

/** Whether `work` did not fail but lost its session, which ended with another command's work. */
async function isOver(error: unknown, running: SessionClient | null): Promise<boolean> {
  if (!(error instanceof DevstackError)) return false
  if (error.code === 'SESSION_LOST') return true
  if (error.code !== 'CANCELLED') return false
  // One of our own is over by now.
  if (running === null) return true
  const closed = async (): Promise<boolean> => {
    await running.closed
    return true
  }
  return Promise.race([closed(), sleep(END_MS, false, { ref: false })])
}

async function workInside<T>(
  stack: StackRef,
  env: Readonly<Record<string, string | undefined>>,
  work: (client: SessionClient) => Promise<T>,
): Promise<T> {
  // Most commands join a session: they need not load what runs one.
  const { runSession } = await import('./run-session.js')
  const listening = Promise.withResolvers<void>()
  let stop: () => void = () => undefined
  const session = runSession(stack, {
    env,
    lasting: false,
    onListening: () => listening.resolve(),
    onStop: (end) => {
      stop = end
    },
  })
  await Promise.race([listening.promise, session])
  const client = await connectSession(stack.socketPath)
  if (client === null) throw lost(stack)
  try {
    return await work(client)
  } finally {
    client.close()
    stop()
    await session
  }
}

function ignoreLost(error: unknown): void {
  if (!(error instanceof DevstackError) || error.code !== 'SESSION_LOST') throw error
}

/** False where another session was faster and holds the stack. */
async function startSession(
  stack: StackRef,
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  mkdirSync(stack.stateFolder, { recursive: true, mode: 0o700 })
  const log = openLog(logPath(stack))
  const entry = fileURLToPath(new URL('./session.js', import.meta.url))
  const child = spawn(process.execPath, [entry, '--stack', JSON.stringify(stack)], {
    cwd: stack.folder,
    detached: true,
    env: { ...env },
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const listens = await new Promise<boolean>((resolve, reject) => {
    child.once('message', () => resolve(true))
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve(false) : reject(lost(stack))))
  })
  child.removeAllListeners()
  if (child.connected) child.disconnect()
  child.unref()
  return listens
}

function openLog(path: string): number {
  const file = openSync(path, 'a', 0o600)
  if (statSync(path).size > LOG_LIMIT) truncateSync(path)
  return file
}

/** What the session's process printed: empty unless something went wrong. */
function logPath(stack: StackRef): string {
  return join(stack.stateFolder, 'session.log')
}

function lost(stack: StackRef): DevstackError {
  const lines = lastLines(logPath(stack))
  return new DevstackError('SESSION_LOST', 'the session of this stack ended as it started', {
    cause: lines === '' ? null : lines,
    hint: `its log is ${logPath(stack)}`,
  })
}

function lastLines(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-8).join('\n')
  } catch {
    return ''
  }
}
