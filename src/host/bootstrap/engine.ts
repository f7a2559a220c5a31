import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import type { Environment } from './command.js'
import { run, which } from './command.js'
import type { EngineAnswer, EngineEndpoint } from './endpoint.js'
import { pingEngine } from './endpoint.js'
import type { Machine } from './machine.js'
import { asRoot } from './machine.js'

export interface StartEngineOptions {
  readonly machine: Machine
  readonly endpoint: EngineEndpoint
  readonly env: Environment
  /** Where the engine's log goes when no service manager keeps it. */
  readonly stateDir: string
  readonly signal: AbortSignal
  /** What it waits for, once a second. */
  readonly tell: (text: string) => void
  readonly timeoutMs?: number
}

/**
 * Starts the engine, by the service manager where one runs, else `dockerd` as a daemon of its own session that outlives
 * this process, and waits until it answers.
 * @throws DevstackError ENGINE_NOT_RUNNING with the engine's last log lines
 */
export async function startEngine(options: StartEngineOptions): Promise<EngineAnswer> {
  return options.machine.hasSystemd ? startService(options) : startDaemon(options)
}

async function startService(options: StartEngineOptions): Promise<EngineAnswer> {
  const { machine, env, signal } = options
  const result = await run(asRoot(machine, ['systemctl', 'start', 'docker']), {
    env,
    signal,
    timeoutMs: 120_000,
  })
  const journal = async () =>
    (
      await run(asRoot(machine, ['journalctl', '-u', 'docker', '-n', '15', '--no-pager', '-o', 'cat']), {
        env,
      })
    ).lastLines
  if (!result.ok)
    throw notStarted([...result.lastLines, ...(await journal())], 'sudo systemctl status docker')
  return waitForAnswer(options, () => null, journal, 'sudo systemctl status docker')
}

async function startDaemon(options: StartEngineOptions): Promise<EngineAnswer> {
  const { machine, env, stateDir } = options
  const dockerd = await which('dockerd', env)
  if (dockerd === null)
    throw new DevstackError('ENGINE_NOT_INSTALLED', 'there is no dockerd on this machine', {
      hint: 'devstack bootstrap',
    })
  const path = join(stateDir, 'dockerd.log')
  const log = () => Promise.resolve(lastLines(path))
  const running = await daemonProcess(options)
  let ended: string | null = null
  let stop = () => {}
  if (running === null) {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    const file = openSync(path, 'w', 0o600)
    // sudo's ticket belongs to this terminal: it goes to the background itself, instead of being detached.
    const [program = '', ...words] = machine.isRoot
      ? [dockerd]
      : ['sudo', '-b', '--', 'setsid', '--', dockerd]
    const child = spawn(program, words, {
      detached: machine.isRoot,
      stdio: ['ignore', file, file],
      env,
      cwd: '/',
    })
    closeSync(file)
    child.on('error', (error) => (ended = error.message))
    child.on('exit', (code, signal) => {
      if (machine.isRoot || code !== 0) ended = `dockerd ended with ${signal ?? String(code)}`
    })
    child.unref()
    stop = () => child.kill('SIGTERM')
  }
  try {
    return await waitForAnswer(options, () => ended, log, `see ${path}`)
  } catch (error) {
    if (options.signal.aborted) stop()
    throw error
  }
}

/** The process id of a dockerd that runs, or null. A pid file that another process's number is in is taken away. */
async function daemonProcess({ machine, endpoint, env, signal }: StartEngineOptions): Promise<number | null> {
  // Beside its socket: /var/run.
  const folder = dirname(endpoint.socketPath ?? '/var/run/docker.sock')
  const pidFile = join(folder, 'docker.pid')
  const pid = pidIn(pidFile)
  if (pid !== null && programOf(pid) === 'dockerd') return pid
  const containerdFile = join(folder, 'docker/containerd/containerd.pid')
  const containerd = pidIn(containerdFile)
  const stale = [
    ...(pid === null ? [] : [pidFile]),
    ...(containerd === null || programOf(containerd) === 'containerd' ? [] : [containerdFile]),
  ]
  if (stale.length > 0) await run(asRoot(machine, ['rm', '-f', '--', ...stale]), { env, signal })
  return null
}

function pidIn(path: string): number | null {
  const pid = Number.parseInt(readText(path), 10)
  return Number.isNaN(pid) ? null : pid
}

/** Empty where no such process lives: one that was killed and not yet collected (state Z) counts as gone. */
function programOf(pid: number): string {
  const [, program = '', state = 'Z'] =
    /^\d+ \((.*)\) (\S)/s.exec(readText(`/proc/${String(pid)}/stat`)) ?? []
  return state === 'Z' || state === 'X' ? '' : program
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const lastLines = (path: string): readonly string[] => readText(path).trimEnd().split('\n').slice(-15)

async function waitForAnswer(
  options: StartEngineOptions,
  ended: () => string | null,
  log: () => Promise<readonly string[]>,
  hint: string,
): Promise<EngineAnswer> {
  const { endpoint, env, signal, tell, timeoutMs = 60_000 } = options
  const started = performance.now()
  let told = 0
  for (;;) {
    const answer = await pingEngine(endpoint, env, signal)
    if (answer.state !== 'silent') return answer
    const why = ended()
    if (why !== null) throw notStarted([why, ...(await log())], hint)
    const seconds = Math.floor((performance.now() - started) / 1000)
    if (seconds * 1000 >= timeoutMs)
      throw notStarted([`no answer within ${String(seconds)} s`, ...(await log())], hint)
    if (seconds > told) tell(`waiting for the engine to answer (${String(seconds)} s)`)
    told = seconds
    await setTimeout(100, undefined, { signal })
  }
}

function notStarted(lines: readonly string[], hint: string): DevstackError {
  const cause = lines.filter((line) => line !== '').join('\n')
  return new DevstackError('ENGINE_NOT_RUNNING', 'the Docker engine could not be started', { cause, hint })
}
