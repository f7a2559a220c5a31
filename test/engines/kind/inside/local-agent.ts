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
    const [program = '', ...rest]: readonly string[] = [...asRoot, 'perl', '-e', 'chroot "/" or die $!']
    execFileSync(program, rest, { stdio: 'pipe' })
    return null
  } catch (error) {
    const why = `the agent cannot be run here: ${(error as Error).message}`
    process.stderr.write(`skipped: ${why}\n`)
    return why
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
  const ended = Promise.withResolvers<{ readonly exitCode: number | null; readonly cause: string | null }>()
  child.once('close', (exitCode) => ended.resolve({ exitCode, cause: null }))
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    started: new Promise((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    }),
    ended: ended.promise,
    resize: () => undefined,
    // As a cluster does it: the process is left to itself.
    close: () => {
      ended.resolve({ exitCode: null, cause: 'the connection was closed' })
      child.stdin.destroy()
      child.stdout.destroy()
      child.stderr.destroy()
    },
  }
}
