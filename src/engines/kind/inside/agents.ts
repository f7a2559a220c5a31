import { setTimeout as sleep } from 'node:timers/promises'
import { KubeError } from '../kube/errors.js'
import type { Kube } from '../kube-ports.js'
import { instanceId } from '../pods.js'
import type { Pod } from '../pods.js'
import { agentTrouble, ensureAgentContainer, isNew, readPod } from './agent-container.js'
import type { AgentContainer, AgentImage, AgentTrouble } from './agent-container.js'
import { openAgentStream, StreamBroken, StreamSilent } from './agent-stream.js'
import type { AgentStream } from './agent-stream.js'
import { serveCommand } from './program.js'
import type { AgentProgram } from './program.js'
import { NoAgent, refusal } from './target.js'
import type { InsideTarget } from './target.js'

/** An agent beside a container, with the connection to it that is kept. */
export interface Agent {
  readonly container: AgentContainer
  readonly stream: AgentStream
  /** Where its program lies in its container. */
  readonly program: string
}

/** The agents of a stack: one beside each container that is worked in, made when it is first needed. */
export interface Agents {
  /** @throws NotThere, NoAgent (which stays so for this run of the container), StreamSilent, DevstackError ENGINE_GONE */
  get(target: InsideTarget, signal: AbortSignal): Promise<Agent>
  /** Asks for agents of containers that have not run yet. */
  announce(pod: Pod, containers: readonly string[]): void
  /** The connection turned out to be broken, or the container is gone. */
  drop(target: InsideTarget): void
  close(): void
}

export interface AgentsOptions {
  readonly kube: Kube
  readonly image: AgentImage
  readonly program: () => Promise<AgentProgram>
}

/** HTTP's: asking again does not help. */
const NOT_ALLOWED: ReadonlySet<number> = new Set([401, 403])
/** So long an agent container may take to run. */
const LONGEST_START_MS = 30_000
/** Between two looks whether it runs: kubelets tell of it a second late. */
const PAUSES_MS = [20, 30, 40, 60, 80, 100, 150, 200, 300, 500] as const

export function createAgents(options: AgentsOptions): Agents {
  const life = new AbortController()
  const agents = new Map<string, Promise<Agent>>()
  const refused = new Map<string, NoAgent>()
  const announced = new Set<string>()
  /** Two agents for one pod are added one after the other: each needs a name of its own. */
  const queues = new Map<string, Promise<unknown>>()
  const ensure = async (target: InsideTarget, program: AgentProgram, early: boolean) => {
    const turn = (queues.get(target.uid) ?? Promise.resolve()).then(() =>
      ensureAgentContainer(options.kube, options.image, program, target, life.signal, early),
    )
    const settled = turn.catch(() => undefined)
    queues.set(target.uid, settled)
    void settled.then(() => {
      if (queues.get(target.uid) === settled) queues.delete(target.uid)
    })
    return await turn
  }
  const connect = async (target: InsideTarget): Promise<Agent> => {
    const program = await options.program()
    for (let tries = 0; ; tries++) {
      const container = await ensure(target, program, false)
      const stream = await untilItRuns(options.kube, program, container, target, life.signal)
      if (!('cause' in stream)) return { container, stream, program: program.path }
      // One that was asked for too early, say, cannot be started again: another one can.
      if (stream.lasting || tries > 0) throw new NoAgent(`its agent does not run: ${stream.cause}`)
    }
  }
  /** It is made anew at once, so that the next delivery need not wait; but only once: then the next one tells why not. */
  const start = (target: InsideTarget, again: boolean): Promise<Agent> => {
    const key = instanceId(target)
    const made = connect(target)
    agents.set(key, made)
    made.then(
      ({ stream }) =>
        void stream.ended.then(() => {
          if (agents.get(key) !== made) return
          agents.delete(key)
          if (again && !life.signal.aborted) start(target, false).catch(() => undefined)
        }),
      (error: unknown) => {
        if (agents.get(key) === made) agents.delete(key)
        if (error instanceof NoAgent) refused.set(key, error)
      },
    )
    return made
  }
  return {
    async get(target, signal) {
      const key = instanceId(target)
      const refusal = refused.get(key)
      if (refusal !== undefined) throw refusal
      return await unlessAborted(agents.get(key) ?? start(target, true), signal)
    },
    announce(pod, containers) {
      const { name, uid = '' } = pod.metadata
      for (const container of containers.filter((one) => isNew(pod, one))) {
        const target = { pod: name, uid, container, restartCount: 0, service: container }
        const key = instanceId(target)
        if (announced.has(key)) continue
        announced.add(key)
        // Whoever needs it is told why there is none.
        options
          .program()
          .then((program) => ensure(target, program, true))
          .catch(() => undefined)
      }
    },
    drop(target) {
      const key = instanceId(target)
      const agent = agents.get(key)
      agents.delete(key)
      refused.delete(key)
      agent?.then(({ stream }) => stream.close()).catch(() => undefined)
    },
    close() {
      life.abort(new Error('the engine is not wanted any more'))
      for (const agent of agents.values()) agent.then(({ stream }) => stream.close()).catch(() => undefined)
      agents.clear()
    },
  }
}

/** Its container is there in the cluster's books, and may take a moment to run: asking it is the quickest way to know. */
async function untilItRuns(
  kube: Kube,
  program: AgentProgram,
  container: AgentContainer,
  target: InsideTarget,
  signal: AbortSignal,
): Promise<AgentStream | AgentTrouble> {
  const argv = serveCommand(program, container.options)
  const begin = performance.now()
  for (let tries = 0; ; tries++) {
    const cause = await connectOnce(kube, program, container, target, argv, signal)
    if (typeof cause !== 'string') return cause
    const pod = await readPod(kube, target, signal)
    const trouble = agentTrouble(pod, container.name)
    if (trouble !== null) return trouble
    if (performance.now() - begin > LONGEST_START_MS)
      throw new NoAgent(`its agent did not start in time: ${cause}`)
    await sleep(PAUSES_MS[tries] ?? 500, undefined, { signal })
  }
}

async function connectOnce(
  kube: Kube,
  program: AgentProgram,
  container: AgentContainer,
  target: InsideTarget,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<AgentStream | string> {
  try {
    const exec = { pod: target.pod, container: container.name, argv, stdin: true, tty: false }
    return await openAgentStream(await kube.exec(exec, signal), program.source, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof StreamBroken && !(error instanceof StreamSilent)) return error.message
    const cause = refusal(error, 'EXEC_FAILED')
    if (error instanceof KubeError && NOT_ALLOWED.has(error.status)) throw new NoAgent(cause)
    return cause
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    // Whoever else waits for it is told.
    work.catch(() => undefined)
  }
}
