import { execFile } from 'node:child_process'
import { DevstackError } from '../../../core/error.js'
import { sanitise } from '../../compose/sanitise.js'

/** How kustomize ended. */
export type Rendered = { readonly text: string } | { readonly failure: string }

/** More than any stack has, and little enough to hold. */
const MOST_BYTES = 16 * 1024 * 1024
const LONGEST_MS = 60_000

export interface KustomizeRequest {
  /** The program: `kubectl`. */
  readonly kubectl: string
  /** Absolute path of the folder with the kustomization. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * What `kubectl kustomize` makes of a folder.
 * @throws DevstackError ENGINE_NOT_INSTALLED where kubectl is not there
 */
export function kustomize(
  { kubectl, folder, env }: KustomizeRequest,
  signal: AbortSignal,
): Promise<Rendered> {
  const options = {
    cwd: folder,
    // Some kubectls ask the present cluster for its version first: it may be anybody's.
    env: { ...env, KUBECONFIG: '/dev/null', KUBERC: 'off' },
    signal,
    maxBuffer: MOST_BYTES,
    timeout: LONGEST_MS,
  }
  return new Promise((resolve, reject) => {
    execFile(kubectl, ['kustomize', folder], options, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason as Error)
      else if (error === null) resolve({ text: stdout })
      else if (error.code === 'ENOENT') reject(notInstalled(kubectl))
      else if ((error.code as unknown) === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
        resolve({ failure: `it makes more than ${String(MOST_BYTES)} bytes` })
      } else if (error.killed === true)
        resolve({ failure: `it is not done after ${String(LONGEST_MS / 1000)} s` })
      else resolve({ failure: readable(stderr) || error.message })
    })
  })
}

function notInstalled(kubectl: string): DevstackError {
  return new DevstackError('ENGINE_NOT_INSTALLED', 'kubectl is not installed', {
    cause: `the program ${kubectl} is not there`,
    hint: 'devstack bootstrap --engine kind',
  })
}

/** kubectl's own words, without its log's frame and without what it tried on the way to the cause. */
function readable(stderr: string): string {
  const text = sanitise(stderr)
    .replaceAll(/^(?:# )?Warning:.*\n?/gm, '')
    .trim()
  const cause = (framed(text) ?? text.replace(/^error: /, ''))
    .replace(/^(?:accumulating (?:resources|components|crds): )+/, '')
    .replace(/^accumulation err='/, '')
    .replace(/^trouble configuring builtin \w+ with config: `[^`]*`: /, '')
  return cause.replaceAll(/[ \t]*\n\s*/g, '\n').trim()
}

/** `E1124 14:40:40.322257 7384 run.go:72] "command failed" err="no such ..."`; of several lines it is `err=<...>`. */
function framed(text: string): string | null {
  const [, quoted, lines] =
    /^[EFIW]\d{4} [\d:.]+\s+\d+ \S+\] .*?\berr=(?:("(?:[^"\\]|\\.)*")|<\n([\s\S]*?)\n ?>)/.exec(text) ?? []
  return quoted === undefined ? (lines?.trim() ?? null) : unquoted(quoted)
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    return text.slice(1, -1)
  }
}
