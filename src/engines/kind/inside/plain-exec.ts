import { pipeline } from 'node:stream/promises'
import { sanitise } from '../../compose/sanitise.js'
import type { Kube, KubeProcess } from '../kube-ports.js'
import { refusal } from './target.js'

/** How a command ended that was run with a container's own programs. */
export interface PlainResult {
  /** Null: it could not be started, or its connection broke. */
  readonly exitCode: number | null
  /** The end of what it printed, or why it has no exit code. */
  readonly said: string
}

const LATEST_SAID = 4096

/** Runs one of a container's own programs to its end, as the container's own user. An abort closes the connection. */
export async function runPlainly(
  kube: Kube,
  { pod, container }: { readonly pod: string; readonly container: string },
  argv: readonly string[],
  stdin: AsyncIterable<Buffer> | null,
  signal: AbortSignal,
): Promise<PlainResult> {
  let process: KubeProcess
  try {
    process = await kube.exec({ pod, container, argv, stdin: stdin !== null, tty: false }, signal)
  } catch (error) {
    signal.throwIfAborted()
    return { exitCode: null, said: refusal(error, 'EXEC_FAILED') }
  }
  let said = Buffer.alloc(0)
  const keep = (chunk: Buffer): void => {
    said = Buffer.concat([said, chunk]).subarray(-LATEST_SAID)
  }
  process.stdout.on('data', keep)
  process.stderr.on('data', keep)
  // A program that ends early takes no more: its exit code says so.
  const sent = stdin === null ? null : pipeline(stdin, process.stdin).catch(() => undefined)
  const { exitCode, cause } = await process.ended
  signal.throwIfAborted()
  await sent
  return { exitCode, said: exitCode === null ? (cause ?? '') : sanitise(said).trim() }
}
