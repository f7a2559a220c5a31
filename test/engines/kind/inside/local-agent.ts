import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { KubeProcess } from '../../../../src/engines/kind/kube-ports.js'

/** The agent's folder in the source tree. */
export const AGENT = fileURLToPath(new URL('../../../../src/engines/kind/inside/agent', import.meta.url))

/** The agent changes its root, which takes root's rights, if only over one user's own files. */
const asRoot: readonly string[] = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user']

/** Null where the agent can be run here; else why not. */
export const cannotRunAgent: string | null = reason()

function reason(): string | null {
  try {
    const [program = 'perl', ...rest] = [...asRoot, 'perl', '-e', 'chroot "/" or die $!']
    execFileSync(program, rest, { stdio: 'pipe' })
    return null
  } catch (error) {
    return `the agent cannot be run here: ${(error as Error).message}`
  }
}

/** Runs a command of the agent's container on this machine, with the pipes that a cluster would give it. */
export function runHere(argv: readonly string[]): KubeProcess {
  const [program = '', ...rest] = [...asRoot, ...argv]
  return processOf(spawn(program, rest))
}

/** A process of this machine as a cluster would give it. */
export function processOf(child: ChildProcessWithoutNullStreams): KubeProcess {
  child.stdin.on('error', () => undefined)
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    started: new Promise((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    }),
    ended: new Promise((resolve) => {
      child.once('close', (exitCode) => resolve({ exitCode, cause: null }))
    }),
    resize: () => undefined,
    close: () => {
      child.stdin.destroy()
      child.stdout.destroy()
      child.stderr.destroy()
    },
  }
}
