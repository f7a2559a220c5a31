import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type Dockerode from 'dockerode'
import { DevstackError } from '../../core/error.js'
import type { Instance } from '../../core/project.js'
import type { InsideRequest } from '../../orchestrator/ports.js'
import type { Docker } from './docker.js'
import { isNotFound } from './docker.js'
import { createFrameReader } from './frames.js'
import type { Frame } from './frames.js'

/** A process in a container, as the engine runs it. */
export interface PipedProcess {
  readonly exec: Dockerode.Exec
  readonly stream: Duplex
}

/**
 * Starts a process with pipes. The connection is there before the process is.
 * @throws DevstackError EXEC_FAILED where the container does not run
 */
export async function startPiped(
  docker: Docker,
  instance: Instance,
  request: InsideRequest,
  stdin: boolean,
  signal: AbortSignal,
): Promise<PipedProcess> {
  try {
    const exec = await (await docker.client()).getContainer(instance.id).exec({
      Cmd: [...request.argv],
      Env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
      ...(request.user === null ? {} : { User: request.user }),
      ...(request.workdir === null ? {} : { WorkingDir: request.workdir }),
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: true,
      abortSignal: signal,
    })
    signal.throwIfAborted()
    return { exec, stream: await exec.start({ hijack: true, stdin }) }
  } catch (error) {
    signal.throwIfAborted()
    const { statusCode } = error as { readonly statusCode?: number }
    const explained = docker.explain(error, `run ${request.argv[0] ?? ''} in ${instance.service}`)
    if (!isNotFound(error) && statusCode !== 409) throw explained
    throw new DevstackError('EXEC_FAILED', `${instance.service} is not running`, {
      cause: explained instanceof DevstackError ? explained.why : null,
      hint: `devstack up ${instance.service}`,
    })
  }
}

/** Hands over what a process prints until its pipes are closed; false where the connection broke. */
export function readPiped(stream: Duplex, frame: (frame: Frame) => void): Promise<boolean> {
  const frames = createFrameReader()
  return new Promise((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      for (const one of frames(chunk)) frame(one)
    })
    stream.once('end', () => resolve(true))
    stream.once('error', () => resolve(false))
    stream.once('close', () => resolve(false))
  })
}

/** How a process stands. */
export interface ProcessState {
  readonly running: boolean
  /** False where it could not be started, or is not yet. */
  readonly started: boolean
  readonly exitCode: number | null
}

export async function readState(exec: Dockerode.Exec): Promise<ProcessState> {
  const { Running, Pid, ExitCode } = await exec.inspect()
  return { running: Running, started: Pid > 0, exitCode: Running ? null : ExitCode }
}

/** Resolves once it runs, or has run, or cannot: it is told so a moment after the connection is there. */
export async function waitForStart(exec: Dockerode.Exec, signal: AbortSignal): Promise<ProcessState> {
  for (;;) {
    const state = await readState(exec)
    if (state.started || state.exitCode !== null) return state
    await sleep(5, undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }
}

/** After its pipes are closed: the engine knows the exit code a moment later. */
export async function exitCodeOf(exec: Dockerode.Exec): Promise<ProcessState> {
  for (let tries = 0; tries < 100; tries++) {
    const state = await readState(exec)
    if (!state.running) return state
    await sleep(10)
  }
  // It closed its pipes and goes on.
  return { running: true, started: true, exitCode: null }
}

/** @param said what the engine wrote into the pipes instead */
export function cannotStart(instance: Instance, request: InsideRequest, said: string): DevstackError {
  const name = request.argv[0] ?? ''
  return new DevstackError('EXEC_FAILED', `${name} cannot be started in ${instance.service}`, {
    cause: said.replace(/^.*unable to start container process: /s, '').trim() || null,
    hint: /not found|no such file/i.test(said) ? `its image has no ${name}` : null,
  })
}
