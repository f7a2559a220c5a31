import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { execa } from 'execa'

/** The environment that a command is found and run with; given, never read from the process here. */
export type Environment = Readonly<Record<string, string | undefined>>

/** How a command ended. A command that could not be started has no exit code, and says why in `stderr`. */
export interface CommandResult {
  readonly ok: boolean
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  /** The last lines that it printed on either stream. */
  readonly lastLines: readonly string[]
}

export interface RunOptions {
  readonly env: Environment
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
  /** Lines as they come, of both streams. */
  readonly onLine?: (line: string) => void
}

/** Runs a program to its end without a terminal; never throws for what the program did. */
export async function run(argv: readonly string[], options: RunOptions): Promise<CommandResult> {
  const [file = '', ...words] = argv
  const child = execa(file, words, {
    env: { ...options.env, LC_ALL: 'C.UTF-8' },
    extendEnv: false,
    reject: false,
    all: true,
    stdin: 'ignore',
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  })
  if (options.onLine !== undefined) void tellLines(child, options.onLine)
  const result = await child
  options.signal?.throwIfAborted()
  const all = result.all ?? ''
  return {
    ok: !result.failed,
    exitCode: result.exitCode ?? null,
    stdout: result.stdout,
    stderr:
      result.exitCode === undefined ? (result.originalMessage ?? result.shortMessage ?? '') : result.stderr,
    lastLines: (all === '' ? (result.shortMessage ?? '') : all).trimEnd().split('\n').slice(-15),
  }
}

async function tellLines(child: AsyncIterable<string>, tell: (line: string) => void): Promise<void> {
  try {
    for await (const line of child) tell(line)
  } catch {
    // How it ended is told by the command's result.
  }
}

/** Folders of system programs that a user's PATH may lack. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** Where a program is, first on PATH, or null. */
export async function which(program: string, env: Environment): Promise<string | null> {
  const [first] = await whichAll(program, env)
  return first ?? null
}

/** Every place of a program on PATH and in the folders of system programs, in order. */
async function whichAll(program: string, env: Environment): Promise<readonly string[]> {
  const folders = [...new Set([...(env['PATH'] ?? '').split(delimiter), ...systemFolders])].filter(
    (folder) => folder !== '',
  )
  const found = await Promise.all(
    folders.map(async (folder) => {
      const path = join(folder, program)
      return access(path, constants.X_OK).then(
        () => path,
        () => null,
      )
    }),
  )
  return found.filter((path) => path !== null)
}
