import { setTimeout as sleep } from 'node:timers/promises'
import type Dockerode from 'dockerode'
import type { Instance } from '../../core/project.js'
import type { Docker } from './docker.js'
import { readState } from './inside-process.js'
import { runHelper } from './run-beside.js'
import { runInside } from './run-inside.js'

/** The variable that a process is started with, and that all that it starts inherits: by it they are found again. */
export const MARK = 'DEVSTACK_RUN'

/**
 * Sends a signal to every process whose environment holds the mark. The mark itself is an argument here, no variable, so
 * that the script does not find itself.
 */
const SCRIPT = `for p in /proc/[0-9]*; do
  if tr '\\0' '\\n' < "$p/environ" 2>/dev/null | grep -qxF -- "$1"; then kill "-$2" "\${p#/proc/}" 2>/dev/null; fi
done
true`

/** How long a process has between being asked to end and being killed, and then to be gone. */
const GRACE_MS = 2000
const LONGEST_MS = 10_000

export interface MarkedProcess {
  readonly mark: string
  readonly exec: Dockerode.Exec
  readonly user: string | null
}

/**
 * Ends a process in a container, and what it started. The engine has no call for that, and does not end a process whose
 * connection is closed. Never throws: what could not be ended is told.
 */
export async function endInside(
  docker: Docker,
  instance: Instance,
  process: MarkedProcess,
  tell: (line: string) => void,
): Promise<void> {
  const signal = AbortSignal.timeout(LONGEST_MS)
  try {
    await send(docker, instance, process, 'TERM', signal)
    if (await hasEnded(process.exec, GRACE_MS)) return
    await send(docker, instance, process, 'KILL', signal)
    if (await hasEnded(process.exec, GRACE_MS)) return
    tell('the command could not be ended: it goes on in the container')
  } catch (error) {
    if (await hasEnded(process.exec, 0)) return
    const cause = error instanceof Error ? error.message : String(error)
    tell(`the command could not be ended and goes on in the container: ${cause}`)
  }
}

async function send(
  docker: Docker,
  instance: Instance,
  { mark, user }: MarkedProcess,
  name: 'TERM' | 'KILL',
  signal: AbortSignal,
): Promise<void> {
  const argv = ['sh', '-c', SCRIPT, 'sh', `${MARK}=${mark}`, name]
  // As the same user: one that is root, but may not trace, cannot read another user's environment.
  const { exitCode } = await runInside(docker, instance.id, argv, user ?? '', signal)
  if (exitCode === 0) return
  await runHelper(docker, instance, argv, ['SYS_PTRACE', 'KILL', 'DAC_READ_SEARCH'], signal)
}

async function hasEnded(exec: Dockerode.Exec, patienceMs: number): Promise<boolean> {
  for (let waited = 0; ; waited += 20) {
    // A container that is gone took it along.
    const state = await readState(exec).catch(() => null)
    if (state === null || !state.running) return true
    if (waited >= patienceMs) return false
    await sleep(20)
  }
}
