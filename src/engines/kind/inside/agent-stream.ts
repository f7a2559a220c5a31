import { once } from 'node:events'
import type { KubeProcess } from '../kube-ports.js'
import { createAnswerReader, gateFrame } from './frames.js'
import type { AgentAnswer, AgentFailure, GateState } from './frames.js'
import { sanitise } from '../../compose/sanitise.js'

/** The connection to an agent is gone; what it was asked last may be done or not. */
export class StreamBroken extends Error {}

/** An agent that runs, or a cluster, that does not answer. */
export class StreamSilent extends StreamBroken {}

/** A kept connection to an agent. It does one thing at a time, in the order of the calls. */
export interface AgentStream {
  /** Sends a batch; resolves with what could not be done once all of it is done. Rejects with StreamBroken. */
  batch(id: number, chunks: AsyncIterable<Buffer>, signal: AbortSignal): Promise<readonly AgentFailure[]>
  /** Opens a container's gate, which it may not have come to yet. */
  openGate(container: string, seconds: number, signal: AbortSignal): Promise<GateState>
  /** Resolves when the connection is gone, with the reason. */
  readonly ended: Promise<string>
  close(): void
}

/** An agent that works says so every second: without a word for so long the connection is dead. */
const SILENCE_MS = 15_000
const LATEST_SAID = 2000

interface Waiting {
  readonly failures: AgentFailure[]
  readonly resolve: (answer: Extract<AgentAnswer, { type: 'done' | 'gate' }>) => void
}

/** What comes from one agent. */
class Link {
  waiting: Waiting | null = null
  broken: string | null = null
  silent = false
  readonly hello: Promise<void>
  readonly ended: Promise<string>
  #heard: () => void = () => undefined
  #end: (cause: string) => void = () => undefined
  #said = ''
  #timer: NodeJS.Timeout | null = null

  constructor(readonly process: KubeProcess) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.hello = new Promise((resolve) => {
      this.#heard = resolve
    })
    const read = createAnswerReader()
    process.stdout.on('data', (chunk: Buffer) => {
      try {
        for (const answer of read(chunk)) this.#take(answer)
      } catch (error) {
        this.break((error as Error).message)
      }
    })
    process.stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + sanitise(chunk)).slice(-LATEST_SAID)
    })
    process.stdin.on('error', () => undefined)
    void process.ended.then(({ cause, exitCode }) => {
      const said = this.#said.trim()
      this.break(said !== '' ? said : (cause ?? `the agent ended with ${String(exitCode)}`))
    })
  }

  break(cause: string): void {
    if (this.broken !== null) return
    this.broken = cause
    this.quiet()
    this.process.close()
    this.#end(cause)
  }

  /** From now on somebody waits for a word. */
  listen(): void {
    this.#timer ??= setTimeout(() => {
      this.silent = true
      this.break(`the agent has not answered for ${String(SILENCE_MS / 1000)} s`)
    }, SILENCE_MS)
    this.#timer.refresh()
  }

  quiet(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #take(answer: AgentAnswer): void {
    if (this.waiting !== null) this.listen()
    switch (answer.type) {
      case 'hello':
        this.#heard()
        return
      case 'failure':
        this.waiting?.failures.push(answer.failure)
        return
      case 'done':
      case 'gate':
        this.waiting?.resolve(answer)
        return
      case 'progress':
        return
    }
  }
}

/**
 * Speaks with the agent that was started in `process`; resolves once it has said hello.
 * @param install what it is to be sent first
 */
export async function openAgentStream(
  process: KubeProcess,
  install: Uint8Array,
  signal: AbortSignal,
): Promise<AgentStream> {
  const link = new Link(process)
  const abort = (): void => link.break('it was not wanted any more')
  signal.addEventListener('abort', abort, { once: true })
  try {
    process.stdin.write(install)
    link.listen()
    const cause = await Promise.race([link.hello, link.ended])
    link.quiet()
    signal.throwIfAborted()
    if (cause !== undefined) throw link.silent ? new StreamSilent(cause) : new StreamBroken(cause)
  } finally {
    signal.removeEventListener('abort', abort)
  }
  let gates = 0
  return {
    async batch(id, chunks, signal) {
      const failures: AgentFailure[] = []
      await ask(link, chunks, failures, signal)
      return failures
    },
    async openGate(container, seconds, signal) {
      const answer = await ask(link, [gateFrame(gates++, seconds, container)], [], signal)
      if (answer.type !== 'gate') throw new StreamBroken('the agent is out of step')
      return answer.state
    },
    ended: link.ended,
    close: () => link.break('it was closed'),
  }
}

type Answer = Extract<AgentAnswer, { type: 'done' | 'gate' }>

async function ask(
  link: Link,
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  failures: AgentFailure[],
  signal: AbortSignal,
): Promise<Answer> {
  signal.throwIfAborted()
  const answered = Promise.withResolvers<Answer>()
  // Half a batch leaves the agent out of step.
  const abort = (): void => link.break('it was not wanted any more')
  signal.addEventListener('abort', abort, { once: true })
  link.waiting = { failures, resolve: answered.resolve }
  try {
    for await (const chunk of chunks) await send(link, chunk)
    const answer = await Promise.race([answered.promise, link.ended])
    if (typeof answer === 'string') throw new StreamBroken(answer)
    return answer
  } catch (error) {
    link.break('it was left in the middle')
    signal.throwIfAborted()
    throw error
  } finally {
    link.quiet()
    link.waiting = null
    signal.removeEventListener('abort', abort)
  }
}

/** Waits while the connection is full. */
async function send(link: Link, chunk: Buffer): Promise<void> {
  if (link.broken !== null) throw new StreamBroken(link.broken)
  link.listen()
  if (link.process.stdin.write(chunk)) return
  const drained = new AbortController()
  try {
    await Promise.race([
      once(link.process.stdin, 'drain', { signal: drained.signal }).catch(() => undefined),
      link.ended,
    ])
  } finally {
    drained.abort()
  }
}
