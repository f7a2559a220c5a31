import { randomUUID } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { ExecRequest } from '../../../orchestrator/ports.js'
import type { Kube } from '../kube-ports.js'
import type { Agents } from './agents.js'
import { drained, startProcess } from './start.js'
import type { StartedProcess } from './start.js'
import { cannotStart } from './target.js'
import type { InsideTarget } from './target.js'

/** Where a command's input comes from and its output goes: this process's own, in general. */
export interface Terminal {
  readonly stdin: Readable & Partial<Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode'>>
  readonly stdout: Writable & Partial<Pick<NodeJS.WriteStream, 'columns' | 'rows'>>
  readonly stderr: Writable
}

/**
 * Runs a command in a container with this process's terminal; resolves with its exit code.
 * @throws DevstackError EXEC_FAILED where it cannot be started or its connection breaks
 */
export async function execWithTerminal(
  kube: Kube,
  agents: Agents,
  target: InsideTarget,
  request: Omit<ExecRequest, 'service'>,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const { argv, tty, interactive } = request
  const start = { kube, agents, target, request, stdin: interactive, tty, mark: randomUUID() }
  const started = await startProcess(start, signal)
  const release = join(started, terminal, request)
  const abort = (): void => started.process.close()
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    const { exitCode, cause } = await started.process.ended
    await Promise.all([drained(started.process.stdout), drained(started.process.stderr)])
    terminal.stderr.write(started.start.end())
    signal.throwIfAborted()
    const failure = await started.start.started
    if (failure !== null) throw cannotStart(target.service, argv[0] ?? '', failure)
    if (exitCode !== null) return exitCode
    throw new DevstackError('EXEC_FAILED', `the command in ${target.service} was lost`, { cause })
  } finally {
    signal.removeEventListener('abort', abort)
    release()
  }
}

/** Joins the pipes; what it returns parts them and leaves the terminal as it was. */
function join(
  { process, start }: StartedProcess,
  { stdin, stdout, stderr }: Terminal,
  { tty, interactive }: Pick<ExecRequest, 'tty' | 'interactive'>,
): () => void {
  process.stdout.pipe(stdout, { end: false })
  process.stderr.on('data', (chunk: Buffer) => stderr.write(start.take(chunk)))
  const raw = tty && interactive && stdin.isTTY === true
  const resize = (): void => {
    if (stdout.columns !== undefined && stdout.rows !== undefined) process.resize(stdout.columns, stdout.rows)
  }
  if (tty) {
    resize()
    stdout.on('resize', resize)
  }
  // Keys are the command's, Ctrl-C too.
  if (raw) stdin.setRawMode?.(true)
  if (interactive) stdin.pipe(process.stdin)
  return () => {
    stdout.off('resize', resize)
    process.stdout.unpipe(stdout)
    if (!interactive) return
    stdin.unpipe(process.stdin)
    stdin.pause()
    if (raw) stdin.setRawMode?.(false)
  }
}
