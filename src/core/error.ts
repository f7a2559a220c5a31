/** A place in a file, 1-based, as editors print it: `compose.yaml:12:7`. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly column: number
}

/**
 * What went wrong, as a stable name. Scripts rely on these: removing or renaming one is a breaking change.
 * The exit code of each is in {@link exitCodeOf}.
 */
export type ErrorCode =
  // what was asked makes no sense: exit 2
  | 'USAGE'
  | 'CONFIG_INVALID'
  | 'PROJECT_NOT_FOUND'
  | 'UNKNOWN_SERVICE'
  | 'UNSUPPORTED'
  // the stack is not what was asked: exit 1
  | 'BUILD_FAILED'
  | 'PULL_FAILED'
  | 'SERVICE_FAILED'
  | 'TIMEOUT'
  | 'EXEC_FAILED'
  | 'DELIVERY_FAILED'
  | 'OPERATION_FAILED'
  | 'SESSION_LOST'
  // the machine lacks something: exit 3
  | 'ENGINE_NOT_INSTALLED'
  | 'ENGINE_NOT_RUNNING'
  | 'ENGINE_TOO_OLD'
  | 'ENGINE_GONE'
  | 'PORT_TAKEN'
  | 'DISK_FULL'
  | 'IMAGE_UNAVAILABLE'
  | 'MACHINE_UNSUPPORTED'
  | 'CONSENT_NEEDED'
  | 'LOCKED'
  | 'STATE_FOREIGN'
  // ended on request: exit 130
  | 'CANCELLED'

/** One problem of several (a file's every error is reported at once). */
export interface Problem {
  readonly message: string
  readonly at: SourcePosition | null
  readonly hint: string | null
}

/** The serialisable form of a {@link DevstackError}: what Events and `--json` carry. */
export interface ErrorInfo {
  readonly code: ErrorCode
  readonly message: string
  readonly cause: string | null
  readonly hint: string | null
  readonly at: SourcePosition | null
  readonly problems: readonly Problem[]
}

interface DevstackErrorOptions {
  readonly cause?: string | null | undefined
  readonly hint?: string | null | undefined
  readonly at?: SourcePosition | null | undefined
  readonly problems?: readonly Problem[] | undefined
}

/**
 * An expected failure: says what happened (`message`), why (`cause`) and what to try (`hint`).
 * Anything else that is thrown is a bug and keeps its stack.
 */
export class DevstackError extends Error {
  override readonly name = 'DevstackError'
  readonly code: ErrorCode
  readonly why: string | null
  readonly hint: string | null
  readonly at: SourcePosition | null
  readonly problems: readonly Problem[]

  constructor(code: ErrorCode, message: string, options: DevstackErrorOptions = {}) {
    super(message)
    this.code = code
    this.why = options.cause ?? null
    this.hint = options.hint ?? null
    this.at = options.at ?? null
    this.problems = options.problems ?? []
  }

  /** The serialisable form. */
  toInfo(): ErrorInfo {
    const { code, message, why, hint, at, problems } = this
    return { code, message, cause: why, hint, at, problems }
  }

  /** The inverse of {@link DevstackError.toInfo}: an error that came over the session's socket. */
  static fromInfo(info: ErrorInfo): DevstackError {
    return new DevstackError(info.code, info.message, info)
  }
}

/** `file:line:column`. */
export function formatPosition(at: SourcePosition): string {
  return `${at.file}:${String(at.line)}:${String(at.column)}`
}

/** The three lines people read: `error:`, `cause:`, `try:`; every problem of a file on a line of its own. */
export function formatError(error: ErrorInfo): string {
  const lines = [`error: ${error.message}`]
  const place = error.at === null ? '' : `${formatPosition(error.at)}: `
  if (error.problems.length > 0) {
    for (const problem of error.problems) {
      const at = problem.at === null ? '' : `${formatPosition(problem.at)}: `
      lines.push(`  ${at}${problem.message}`)
      if (problem.hint !== null) lines.push(`    ${problem.hint}`)
    }
  }
  if (error.cause !== null) lines.push(...indent('cause', `${place}${error.cause}`))
  else if (place !== '' && error.problems.length === 0) lines.push(`  cause: at ${place.slice(0, -2)}`)
  if (error.hint !== null) lines.push(...indent('try', error.hint))
  return lines.join('\n')
}

function indent(label: string, text: string): string[] {
  const [first = '', ...rest] = text.split('\n')
  return [`  ${label}: ${first}`, ...rest.map((line) => `    ${line}`)]
}

/** Exit codes, as cli.md's table: 1 the stack is not, 2 the question makes no sense, 3 the machine lacks something. */
export function exitCodeOf(code: ErrorCode): number {
  switch (code) {
    case 'USAGE':
    case 'CONFIG_INVALID':
    case 'PROJECT_NOT_FOUND':
    case 'UNKNOWN_SERVICE':
    case 'UNSUPPORTED':
      return 2
    case 'BUILD_FAILED':
    case 'PULL_FAILED':
    case 'SERVICE_FAILED':
    case 'TIMEOUT':
    case 'EXEC_FAILED':
    case 'DELIVERY_FAILED':
    case 'OPERATION_FAILED':
    case 'SESSION_LOST':
      return 1
    case 'ENGINE_NOT_INSTALLED':
    case 'ENGINE_NOT_RUNNING':
    case 'ENGINE_TOO_OLD':
    case 'ENGINE_GONE':
    case 'PORT_TAKEN':
    case 'DISK_FULL':
    case 'IMAGE_UNAVAILABLE':
    case 'MACHINE_UNSUPPORTED':
    case 'CONSENT_NEEDED':
    case 'LOCKED':
    case 'STATE_FOREIGN':
      return 3
    case 'CANCELLED':
      return 130
    default:
      return never(code)
  }
}

/** Makes a switch exhaustive: a new member fails to compile here. */
export function never(value: never): never {
  throw new Error(`unexpected value: ${String(value)}`)
}
