import { randomUUID } from 'node:crypto'
import type { Instance } from '../../core/project.js'
import type { InsideProcess, InsideRequest } from '../../orchestrator/ports.js'
import { createChannel } from './channel.js'
import type { Docker } from './docker.js'
import { endInside, MARK } from './end-inside.js'
import { cannotStart, exitCodeOf, readPiped, startPiped, waitForStart } from './inside-process.js'
import { createLineSplitter } from './lines.js'
import { createPlainLines } from './plain-lines.js'
import { sanitise } from './sanitise.js'

/** So much of what a process says on stderr is kept: the end of it. */
const KEPT_STDERR = 4 * 1024
/** How long a process has to end after its stdin was closed, before the connection is closed too. */
const CLOSING_MS = 2000

/** Starts a process in a running container with pipes to it; an abort closes them. */
export async function openInside(
  docker: Docker,
  instance: Instance,
  request: InsideRequest,
  signal: AbortSignal,
): Promise<InsideProcess> {
  const { exec, stream } = await startPiped(docker, instance, request, true, signal)
  const lines = createChannel<string>()
  const split = createPlainLines()
  let stderr = Buffer.alloc(0)
  const read = readPiped(stream, ({ stream: pipe, bytes }) => {
    if (pipe === 'stdout') for (const line of split.write(bytes)) lines.push(line)
    else stderr = Buffer.concat([stderr, bytes]).subarray(-KEPT_STDERR)
  })
  let closing: NodeJS.Timeout | null = null
  const close = (): void => {
    if (closing !== null) return
    // The engine ends no process whose connection is gone; a closed stdin tells it to end.
    stream.end()
    closing = setTimeout(() => stream.destroy(), CLOSING_MS).unref()
  }
  const ended = read.then(async (whole) => {
    for (const line of split.end()) lines.push(line)
    lines.close()
    signal.removeEventListener('abort', close)
    if (closing !== null) clearTimeout(closing)
    const state = whole ? await exitCodeOf(exec).catch(() => null) : null
    return { exitCode: state?.exitCode ?? null, stderr: sanitise(stderr) }
  })
  try {
    const state = await waitForStart(exec, signal)
    if (!state.started) throw cannotStart(instance, request, await saidInstead(lines, ended))
    // One that came while the engine was asked was heard by nobody.
    signal.throwIfAborted()
  } catch (error) {
    close()
    signal.throwIfAborted()
    throw docker.explain(error, `run ${request.argv[0] ?? ''} in ${instance.service}`)
  }
  signal.addEventListener('abort', close, { once: true })
  return { lines, write: (line) => void stream.write(`${line}\n`), ended, close }
}

async function saidInstead(lines: AsyncIterable<string>, ended: InsideProcess['ended']): Promise<string> {
  const said: string[] = []
  for await (const line of lines) said.push(line)
  return [...said, (await ended).stderr].join('\n')
}

/** Runs a process in a running container to its end. An abort ends it and what it started. */
export async function runToEnd(
  docker: Docker,
  instance: Instance,
  request: InsideRequest,
  output: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const mark = randomUUID()
  const marked = { ...request, env: { ...request.env, [MARK]: mark } }
  const { exec, stream } = await startPiped(docker, instance, marked, false, signal)
  const splitters = { stdout: createLineSplitter(), stderr: createLineSplitter() }
  const said: string[] = []
  const tell = (lines: readonly string[]): void => {
    for (const line of lines) {
      if (said.length < 5) said.push(line)
      output(line)
    }
  }
  const read = readPiped(stream, ({ stream: pipe, bytes }) => tell(splitters[pipe].write(bytes)))
  const aborted = Promise.withResolvers<'aborted'>()
  const abort = (): void => aborted.resolve('aborted')
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    if ((await Promise.race([read, aborted.promise])) === 'aborted') {
      await endInside(docker, instance, { mark, exec, user: request.user }, output)
      signal.throwIfAborted()
    }
    tell([...splitters.stdout.end(), ...splitters.stderr.end()])
    const state = await exitCodeOf(exec)
    if (!state.started && state.exitCode !== null) throw cannotStart(instance, request, said.join('\n'))
    return state.exitCode ?? -1
  } catch (error) {
    signal.throwIfAborted()
    throw docker.explain(error, `run ${request.argv[0] ?? ''} in ${instance.service}`)
  } finally {
    signal.removeEventListener('abort', abort)
    stream.destroy()
  }
}
