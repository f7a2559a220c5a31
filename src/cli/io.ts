import type { EngineKind } from '../core/project.js'

/** What a command may touch of its process; handed in, so that a command can be run by a test. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** The reloader where it can stand in, or the image's own server as in production. */
export type Server = 'reloader' | 'production'

/** The flags that every verb takes. */
export interface GlobalOptions {
  readonly config: string | null
  readonly projectName: string | null
  readonly cwd: string
  readonly color: boolean
  readonly verbose: boolean
  readonly yes: boolean
  readonly engine: EngineKind | null
  /** Which program answers for a Flask service, of `up --server`; null: not asked for. */
  readonly server: Server | null
}

/** One line on stdout. */
export function print(io: Io, line: string): void {
  io.stdout.write(`${line}\n`)
}

/** One line on stderr. */
export function printError(io: Io, line: string): void {
  io.stderr.write(`${line}\n`)
}

/** One JSON value on a line of its own. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value)}\n`)
}

/**
 * Asks for consent on the terminal; `--yes` gives it. Without a terminal nobody can be asked: null.
 */
export async function confirm(io: Io, question: string, globals: GlobalOptions): Promise<boolean | null> {
  if (globals.yes) return true
  if (!io.stdin.isTTY || !io.stderr.isTTY) return null
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: io.stdin, output: io.stderr })
  try {
    const answer = await terminal.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
