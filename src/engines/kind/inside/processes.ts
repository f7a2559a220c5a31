import { randomUUID } from 'node:crypto'
import { DevstackError } from '../../../core/error.js'
import type { InsideProcess, InsideRequest } from '../../../orchestrator/ports.js'
import { createChannel } from '../../compose/channel.js'
import { createLineSplitter } from '../../compose/lines.js'
import { createPlainLines } from '../../compose/plain-lines.js'
import { sanitise } from '../../compose/sanitise.js'
import type { Kube } from '../kube-ports.js'
import type { Agents } from './agents.js'
import { drained, endMarked, startProcess } from './start.js'
import type { StartedProcess } from './start.js'
import { cannotStart } from './target.js'
import type { InsideTarget } from './target.js'

/** So much of what a process says on stderr is kept: the end of it. */
const KEPT_STDERR = 4 * 1024
/** How long a process has to end after its stdin was closed, before the connection is closed too. */
const CLOSING_MS = 2000

/** Starts processes in containers of pods. */
export interface Processes {
  /** As {@link Engine.open}. */
  open(target: InsideTarget, request: InsideRequest, signal: AbortSignal): Promise<InsideProcess>
  /** As {@link Engine.run}. */
  run(
    target: InsideTarget,
    request: InsideRequest,
    output: (line: string) => void,
    signal: AbortSignal,
  ): Promise<number>
}

export function createProcesses(kube: Kube, agents: Agents): Processes {
  return {
    open: async (target, request, signal) => {
      const process = await startProcess(
        { kube, agents, target, request, stdin: true, mark: randomUUID() },
        signal,
      )
      return openWith(target, request, process, signal)
    },
    run: (target, request, output, signal) => runToEnd(kube, agents, target, request, output, signal),
  }
}

async function openWith(
  target: InsideTarget,
  request: InsideRequest,
  { process, start }: StartedProcess,
  signal: AbortSignal,
): Promise<InsideProcess> {
  const lines = createChannel<string>()
  const split = createPlainLines()
  let stderr = Buffer.alloc(0)
  const keep = (bytes: Buffer): void => {
    stderr = Buffer.concat([stderr, bytes]).subarray(-KEPT_STDERR)
  }
  process.stdout.on('data', (chunk: Buffer) => {
    for (const line of split.write(chunk)) lines.push(line)
  })
  process.stderr.on('data', (chunk: Buffer) => keep(start.take(chunk)))
  let closing: NodeJS.Timeout | null = null
  const close = (): void => {
    if (closing !== null) return
    // Nobody ends a process whose connection is gone; a closed stdin tells it to end.
    process.stdin.end()
    closing = setTimeout(() => process.close(), CLOSING_MS).unref()
  }
  const ended = process.ended.then(async ({ exitCode }) => {
    await Promise.all([drained(process.stdout), drained(process.stderr)])
    keep(start.end())
    for (const line of split.end()) lines.push(line)
    lines.close()
    signal.removeEventListener('abort', close)
    if (closing !== null) clearTimeout(closing)
    return { exitCode, stderr: sanitise(stderr) }
  })
  signal.addEventListener('abort', close, { once: true })
  if (signal.aborted) close()
  const failure = await start.started
  if (failure !== null) {
    close()
    signal.throwIfAborted()
    throw cannotStart(target.service, request.argv[0] ?? '', failure)
  }
  signal.throwIfAborted()
  return { lines, write: (line) => void process.stdin.write(`${line}\n`), ended, close }
}

/** Runs a process to its end. An abort ends it and what it started. */
async function runToEnd(
  kube: Kube,
  agents: Agents,
  target: InsideTarget,
  request: InsideRequest,
  output: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const mark = randomUUID()
  const started = await startProcess({ kube, agents, target, request, stdin: false, mark }, signal)
  const { process, start } = started
  const splitters = { stdout: createLineSplitter(), stderr: createLineSplitter() }
  const tell = (lines: readonly string[]): void => {
    for (const line of lines) output(line)
  }
  process.stdout.on('data', (chunk: Buffer) => tell(splitters.stdout.write(chunk)))
  process.stderr.on('data', (chunk: Buffer) => tell(splitters.stderr.write(start.take(chunk))))
  const aborted = Promise.withResolvers<'aborted'>()
  const abort = (): void => aborted.resolve('aborted')
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    const ended = await Promise.race([process.ended, aborted.promise])
    if (ended === 'aborted') {
      await endMarked(kube, target, started, output)
      throw signal.reason
    }
    await Promise.all([drained(process.stdout), drained(process.stderr)])
    tell([...splitters.stdout.end(), ...splitters.stderr.write(start.end()), ...splitters.stderr.end()])
    const failure = await start.started
    if (failure !== null) throw cannotStart(target.service, request.argv[0] ?? '', failure)
    if (ended.exitCode !== null) return ended.exitCode
    throw new DevstackError('EXEC_FAILED', `the command in ${target.service} was lost`, {
      cause: ended.cause,
    })
  } finally {
    signal.removeEventListener('abort', abort)
    process.close()
  }
}
