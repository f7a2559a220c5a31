import { DevstackError } from '../../core/error.js'
import { notInstalled } from './command.js'
import { createLineSplitter } from './lines.js'
import type { EngineContext } from './options.js'

export interface RunOptions {
  /** By default the project's folder. */
  readonly cwd?: string
  readonly argv: readonly string[]
  readonly signal: AbortSignal
  /** Every line of stdout and stderr, sanitised, as it comes. */
  readonly output: (line: string) => void
}

/** How a long child ended: its exit code and its last lines. */
export interface RunOutcome {
  readonly exitCode: number
  readonly lastLines: readonly string[]
}

const KEPT_LINES = 40

/**
 * Runs a long Compose verb without a terminal. On abort its whole process group is ended, forcefully after five seconds,
 * and the signal's reason is thrown once nothing of it is left.
 */
export async function runCompose(context: EngineContext, options: RunOptions): Promise<RunOutcome> {
  const { execa } = await import('execa')
  const { argv, signal, output } = options
  signal.throwIfAborted()
  const [program = '', ...args] = argv
  const lastLines: string[] = []
  const take = (line: string): void => {
    lastLines.push(line)
    if (lastLines.length > KEPT_LINES) lastLines.shift()
    output(line)
  }
  const child = execa(program, args, {
    cwd: options.cwd ?? context.options.folder,
    env: context.command.env,
    extendEnv: false,
    stdin: 'ignore',
    buffer: false,
    encoding: 'buffer',
    killDescendants: true,
    forceKillAfterDelay: 5000,
    cancelSignal: signal,
    reject: false,
  })
  readLines(child.stdout, take)
  readLines(child.stderr, take)
  const result = await child
  signal.throwIfAborted()
  if (result.exitCode === undefined) {
    if ((result as { code?: string }).code === 'ENOENT') throw notInstalled(program)
    throw new DevstackError('OPERATION_FAILED', 'Compose ended early', {
      cause: result.signal === undefined ? lastLines.join('\n') : `ended by ${result.signal}`,
    })
  }
  return { exitCode: result.exitCode, lastLines }
}

function readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  const lines = createLineSplitter()
  stream.on('data', (chunk: Uint8Array) => {
    for (const line of lines.write(chunk)) take(line)
  })
  stream.on('end', () => {
    for (const line of lines.end()) take(line)
  })
}
