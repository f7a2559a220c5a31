import type { Docker } from './docker.js'
import { createFrameReader } from './frames.js'
import { sanitise } from './sanitise.js'

/** Runs a command in a container without a terminal; resolves with its exit code and what it printed. */
export async function runInside(
  docker: Docker,
  id: string,
  argv: readonly string[],
  user: string,
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const container = (await docker.client()).getContainer(id)
  const exec = await container.exec({
    Cmd: [...argv],
    User: user,
    AttachStdout: true,
    AttachStderr: true,
    abortSignal: signal,
  })
  const stream = await exec.start({ hijack: false, stdin: false, abortSignal: signal })
  const frames = createFrameReader()
  const pieces: Uint8Array[] = []
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    for (const { bytes } of frames(chunk)) pieces.push(bytes)
  }
  const { ExitCode } = await exec.inspect({ abortSignal: signal })
  return { exitCode: ExitCode ?? -1, output: sanitise(Buffer.concat(pieces)).trim() }
}
