import { DevstackError } from '../../core/error.js'
import { createLineSplitter } from '../compose/lines.js'

/** The engine's place and the environment, for every program that is started. */
export interface ProgramContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `unix:///var/run/docker.sock` */
  readonly endpoint: string
}

export interface ProgramRequest {
  readonly argv: readonly string[]
  readonly signal: AbortSignal
  /** Every line of both streams, sanitised. */
  readonly output?: ((line: string) => void) | undefined
  readonly cwd?: string | undefined
  /** What to do where the program is missing. */
  readonly missing?: string | undefined
}

/** How a program ended. */
export interface ProgramOutcome {
  readonly exitCode: number
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
}

/** Runs a program without a terminal; resolves whatever its exit code. */
export type RunProgram = (request: ProgramRequest) => Promise<ProgramOutcome>

const KEPT_LINES = 400

/**
 * Programs of their own process group: on abort all of it is ended, forcefully after ten seconds (a half-made Debian has
 * mounts to undo), and the signal's reason is thrown when nothing of it is left.
 */
export function createRunner(context: ProgramContext): RunProgram {
  const defined = Object.entries(context.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  const env = { ...Object.fromEntries(defined), DOCKER_HOST: context.endpoint, LC_ALL: 'C.UTF-8' }
  return async (request) => {
    const { execa } = await import('execa')
    const { argv, signal, output } = request
    signal.throwIfAborted()
    const [program = '', ...args] = argv
    const child = execa(program, args, {
      env,
      extendEnv: false,
      ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
      stdin: 'ignore',
      buffer: false,
      encoding: 'buffer',
      killDescendants: true,
      forceKillAfterDelay: 10_000,
      cancelSignal: signal,
      reject: false,
    })
    const stdout = keepLines(child.stdout, output)
    const stderr = keepLines(child.stderr, output)
    const result = await child
    signal.throwIfAborted()
    if (result.exitCode !== undefined) return { exitCode: result.exitCode, stdout, stderr }
    throw startFailure(program, result, request.missing)
  }
}

function startFailure(program: string, result: object, missing: string | undefined): Error {
  const { code, signal, shortMessage } = result as { code?: string; signal?: string; shortMessage?: string }
  if (code === 'ENOENT') {
    return new DevstackError('MACHINE_UNSUPPORTED', `the program ${program} is not installed`, {
      cause: 'it is needed to make images where no registry answers',
      hint: missing ?? 'devstack bootstrap',
    })
  }
  return new DevstackError('OPERATION_FAILED', `${program} ended early`, {
    cause: signal === undefined ? shortMessage : `ended by ${signal}`,
  })
}

function keepLines(
  stream: NodeJS.ReadableStream,
  output: ((line: string) => void) | undefined,
): readonly string[] {
  const kept: string[] = []
  const splitter = createLineSplitter()
  const take = (lines: readonly string[]): void => {
    for (const line of lines) {
      kept.push(line)
      if (kept.length > KEPT_LINES) kept.shift()
      output?.(line)
    }
  }
  stream.on('data', (chunk: Uint8Array) => {
    take(splitter.write(chunk))
  })
  stream.on('end', () => {
    take(splitter.end())
  })
  return kept
}
