import { createChannel } from '../../src/engines/compose/channel.js'
import { DevstackError } from '../../src/core/error.js'
import type { Instance } from '../../src/core/project.js'
import type { InsideProcess, InsideRequest } from '../../src/orchestrator/ports.js'

/** The process's own side of its pipes. */
export interface FakeProcess {
  readonly instance: Instance
  readonly request: InsideRequest
  /** A line on its stdout. */
  print(line: string): void
  /** It ends; null: the connection breaks. */
  exit(exitCode: number | null, stderr?: string): void
  /** Its stdin, line by line; ends when that is closed. */
  readonly stdin: AsyncIterable<string>
}

/** What `open` runs; throwing refuses to start. */
export type OpenHandler = (process: FakeProcess) => void | Promise<void>

/** What `run` runs: resolves with the exit code. */
export type RunHandler = (
  instance: Instance,
  request: InsideRequest,
  output: (line: string) => void,
  signal: AbortSignal,
) => number | Promise<number>

/** `cat`; anything else is not there. */
export const openCat: OpenHandler = async (process) => {
  if (process.request.argv[0] !== 'cat') throw notFound(process.request)
  for await (const line of process.stdin) process.print(line)
  process.exit(0)
}

/** `true`, `false`, `echo` and `sleep infinity`; anything else is not there. */
export const runTool: RunHandler = async (_instance, request, output, signal) => {
  const [name, ...words] = request.argv
  switch (name) {
    case 'true':
      return 0
    case 'false':
      return 1
    case 'echo':
      output(words.join(' '))
      return 0
    case 'sleep':
      return await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    default:
      throw notFound(request)
  }
}

function notFound({ argv }: InsideRequest): DevstackError {
  return new DevstackError('EXEC_FAILED', `${argv[0] ?? ''} cannot be started`, { cause: 'not found' })
}

/** Starts the handler with pipes. */
export async function openFake(
  instance: Instance,
  request: InsideRequest,
  handler: OpenHandler,
  signal: AbortSignal,
): Promise<InsideProcess> {
  const stdin = createChannel<string>()
  const lines = createChannel<string>()
  const ended = Promise.withResolvers<{ readonly exitCode: number | null; readonly stderr: string }>()
  const started = Promise.withResolvers<void>()
  const exit = (exitCode: number | null, stderr = ''): void => {
    lines.close()
    stdin.close()
    ended.resolve({ exitCode, stderr })
  }
  const process: FakeProcess = { instance, request, print: (line) => lines.push(line), exit, stdin }
  const run = async (): Promise<void> => {
    await handler(process)
  }
  run().catch((error: unknown) => {
    started.reject(error)
    exit(null)
  })
  // What refuses to start throws before it waits for anything.
  setImmediate(() => started.resolve())
  await started.promise
  signal.addEventListener('abort', () => stdin.close(), { once: true })
  return { lines, write: (line) => stdin.push(line), ended: ended.promise, close: () => stdin.close() }
}
