import type { Duplex, Writable } from 'node:stream'
import type Dockerode from 'dockerode'
import type { Docker } from '../../compose/docker.js'
import { createFrameReader } from '../../compose/frames.js'
import { sanitise } from '../../compose/sanitise.js'

export interface NodeResult {
  /** Null where the connection broke. */
  readonly exitCode: number | null
  /** As it came. */
  readonly stdout: string
  /** Sanitised. */
  readonly stderr: string
}

export interface NodeProcess {
  readonly stdin: Writable
  /** Never rejects. */
  readonly ended: Promise<NodeResult>
  /** Ends the connection; who reads from it sees the end of what it reads. */
  readonly close: () => void
}

/** Starts a program in a node's container. */
export async function startInNode(
  docker: Docker,
  node: string,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<NodeProcess> {
  const { exec, stream } = await start(docker, node, argv, true, signal)
  const close = (): void => void stream.destroy()
  signal.addEventListener('abort', close, { once: true })
  if (signal.aborted) close()
  const ended = finish(exec, stream).finally(() => signal.removeEventListener('abort', close))
  return { stdin: stream, ended, close }
}

/** Runs a program in a node's container to its end. */
export async function runInNode(
  docker: Docker,
  node: string,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<NodeResult> {
  const { exec, stream } = await start(docker, node, argv, false, signal)
  const close = (): void => void stream.destroy()
  signal.addEventListener('abort', close, { once: true })
  try {
    const result = await finish(exec, stream)
    signal.throwIfAborted()
    return result
  } finally {
    signal.removeEventListener('abort', close)
  }
}

async function start(
  docker: Docker,
  node: string,
  argv: readonly string[],
  stdin: boolean,
  signal: AbortSignal,
): Promise<{ readonly exec: Dockerode.Exec; readonly stream: Duplex }> {
  try {
    const exec = await (await docker.client()).getContainer(node).exec({
      Cmd: [...argv],
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: true,
      abortSignal: signal,
    })
    signal.throwIfAborted()
    return { exec, stream: await exec.start({ hijack: true, stdin }) }
  } catch (error) {
    signal.throwIfAborted()
    throw docker.explain(error, `run ${argv[0] ?? ''} in ${node}`)
  }
}

async function finish(exec: Dockerode.Exec, stream: Duplex): Promise<NodeResult> {
  const frames = createFrameReader()
  const said = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  await new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      for (const { stream: pipe, bytes } of frames(chunk)) said[pipe].push(bytes)
    })
    stream.on('error', () => resolve())
    stream.once('end', resolve)
    stream.once('close', resolve)
  })
  stream.destroy()
  const state = await exec.inspect().catch(() => null)
  return {
    exitCode: state === null || state.Running ? null : state.ExitCode,
    stdout: Buffer.concat(said.stdout).toString('utf8'),
    stderr: sanitise(Buffer.concat(said.stderr)),
  }
}
