import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../../core/error.js'
import type { InsideRequest } from '../../../orchestrator/ports.js'
import type { Kube, KubeProcess } from '../kube-ports.js'
import { StreamBroken } from './agent-stream.js'
import type { Agent, Agents } from './agents.js'
import { createStartMark } from './marked.js'
import type { StartMark } from './marked.js'
import { runPlainly } from './plain-exec.js'
import { cannotStart, NoAgent, notRunning, NotThere } from './target.js'
import type { InsideTarget } from './target.js'

/** The variable that a process is started with, and that all that it starts inherits: by it they are found again. */
const MARK = 'DEVSTACK_RUN'

export interface StartRequest {
  readonly kube: Kube
  readonly agents: Agents
  readonly target: InsideTarget
  readonly request: InsideRequest
  readonly stdin: boolean
  /** A command with a terminal, which goes straight into the container where nothing else is asked of it. */
  readonly tty?: boolean
  readonly mark: string
}

export interface StartedProcess {
  readonly process: KubeProcess
  /** Null where it was started without an agent. */
  readonly agent: Agent | null
  readonly start: StartMark
  readonly mark: string
}

/**
 * Starts a process by the agent, else by the container's own means. Whether there is such a program is told later, by `start`.
 * @throws DevstackError EXEC_FAILED where the container does not run
 */
export async function startProcess(start: StartRequest, signal: AbortSignal): Promise<StartedProcess> {
  const { agents, target, request, mark } = start
  if (start.tty !== undefined && asksNothing(request)) return await startInIt(start, request.argv, signal)
  let agent: Agent | null = null
  try {
    agent = await agents.get(target, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof NotThere) throw notRunning(target, error.message)
    if (error instanceof StreamBroken)
      throw cannotStart(target.service, start.request.argv[0] ?? '', error.message)
    if (!(error instanceof NoAgent)) throw error
    return await startPlainly(start, error.message, signal)
  }
  const argv = [
    'perl',
    agent.program,
    'exec',
    ...(start.tty === true ? ['--tty'] : []),
    ...agent.container.options,
    ...describe(request, mark),
    '--',
    ...request.argv,
  ]
  const process = await connect(start, agent.container.name, argv, signal)
  // A terminal has one stream for everything: there is no place for a mark.
  return { process, agent, start: start.tty === true ? unmarked(process) : createStartMark(mark), mark }
}

function asksNothing({ user, workdir, env }: InsideRequest): boolean {
  return user === null && workdir === null && Object.keys(env).length === 0
}

function describe({ user, workdir, env }: InsideRequest, mark: string): readonly string[] {
  return [
    `--mark=${mark}`,
    `--env=${MARK}=${mark}`,
    ...(user === null ? [] : [`--user=${user}`]),
    ...(workdir === null ? [] : [`--workdir=${workdir}`]),
    ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
  ]
}

/** An abort while it connects; afterwards closing it is its owner's, who does so gently. */
async function connect(
  { kube, target, stdin, tty = false }: StartRequest,
  container: string,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<KubeProcess> {
  const dial = new AbortController()
  const abort = (): void => dial.abort(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await kube.exec({ pod: target.pod, container, argv, stdin, tty }, dial.signal)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** By the container's own env and shell, where its user need not be another one. */
async function startPlainly(
  start: StartRequest,
  tried: string,
  signal: AbortSignal,
): Promise<StartedProcess> {
  const { target, request } = start
  const { user, workdir, env, argv } = request
  if (user !== null) {
    throw new DevstackError('EXEC_FAILED', `${argv[0] ?? ''} cannot be run in ${target.service} as ${user}`, {
      cause: `agent: ${tried}`,
      hint: 'without an agent commands run as the user of the container',
    })
  }
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const command = [...(variables.length === 0 ? [] : ['env', ...variables]), ...argv]
  const argvIn = ['sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'sh', workdir ?? '/', ...command]
  return await startInIt(start, workdir === null ? command : argvIn, signal)
}

/** In the container itself. */
async function startInIt(
  start: StartRequest,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<StartedProcess> {
  const process = await connect(start, start.target.container, argv, signal)
  return { process, agent: null, mark: start.mark, start: unmarked(process) }
}

function unmarked(process: KubeProcess): StartMark {
  const started = process.started.then(
    () => null,
    (error: { readonly why?: string | null }) => error.why ?? 'it could not be started',
  )
  const nothing = Buffer.alloc(0)
  return { started, take: (chunk) => chunk, end: () => nothing }
}

/** How long a process has between being asked to end and being killed, and then to be gone. */
const GRACE_MS = 2000
const LONGEST_MS = 10_000

/** Ends a process and what it started. Never throws: what could not be ended is told. */
export async function endMarked(
  kube: Kube,
  { pod }: InsideTarget,
  { process, agent, mark }: StartedProcess,
  tell: (line: string) => void,
): Promise<void> {
  if (agent === null) {
    process.close()
    tell('without an agent the command could not be ended: it may go on in the container')
    return
  }
  const signal = AbortSignal.timeout(LONGEST_MS)
  try {
    for (const name of ['TERM', 'KILL']) {
      const argv = ['perl', agent.program, 'end', '--', `${MARK}=${mark}`, name]
      await runPlainly(kube, { pod, container: agent.container.name }, argv, null, signal)
      if (await endsWithin(process, GRACE_MS)) return
    }
    tell('the command could not be ended: it goes on in the container')
  } catch (error) {
    if (await endsWithin(process, 0)) return
    tell(`the command could not be ended and goes on in the container: ${(error as Error).message}`)
  }
}

async function endsWithin(process: KubeProcess, ms: number): Promise<boolean> {
  return await Promise.race([process.ended.then(() => true), sleep(ms, false, { ref: false })])
}

/** A stream hands over what it has after the process has ended. */
export async function drained(stream: Readable): Promise<void> {
  if (!stream.readableEnded && !stream.destroyed) await once(stream, 'end').catch(() => undefined)
}
