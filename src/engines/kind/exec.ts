import { DevstackError } from '../../core/error.js'
import type { ExecRequest } from '../../orchestrator/ports.js'
import type { KubeProcess } from './kube-ports.js'
import type { InsideTarget } from './inside/target.js'
import type { Kube } from './kube-ports.js'

/** Runs a command in a container with this process's terminal; resolves with its exit code. */
export async function execInTarget(
  kube: Kube,
  target: InsideTarget,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<number> {
  if (request.user !== null)
    throw new DevstackError('UNSUPPORTED', 'a command in a pod runs as the pod’s own user', {
      cause: 'Kubernetes has no other user for it',
      hint: 'leave --user out, or change runAsUser in the manifests',
    })
  const process_ = await kube.exec(
    {
      pod: target.pod,
      container: target.container,
      argv: withPlace(request),
      stdin: request.interactive,
      tty: request.tty,
    },
    signal,
  )
  return await withTerminal(process_, request, signal)
}

/** Kubernetes passes neither variables nor a folder to a command: the container's own programs do. */
function withPlace({ argv, env, workdir }: ExecRequest): readonly string[] {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const command = variables.length === 0 ? argv : ['env', ...variables, ...argv]
  return workdir === null ? command : ['sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', workdir, ...command]
}

async function withTerminal(
  inside: KubeProcess,
  { tty, interactive }: ExecRequest,
  signal: AbortSignal,
): Promise<number> {
  const { stdin, stdout, stderr } = process
  const raw = tty && stdin.isTTY
  const resize = (): void => inside.resize(stdout.columns, stdout.rows)
  const abort = (): void => inside.close()
  inside.stdout.pipe(stdout, { end: false })
  inside.stderr.pipe(stderr, { end: false })
  if (interactive) stdin.pipe(inside.stdin)
  if (tty) {
    resize()
    stdout.on('resize', resize)
  }
  if (raw) stdin.setRawMode(true)
  signal.addEventListener('abort', abort, { once: true })
  try {
    const { exitCode, cause } = await inside.ended
    signal.throwIfAborted()
    if (exitCode !== null) return exitCode
    throw new DevstackError('EXEC_FAILED', 'the connection to the command broke', { cause })
  } finally {
    signal.removeEventListener('abort', abort)
    stdout.removeListener('resize', resize)
    if (raw) stdin.setRawMode(false)
    if (interactive) {
      stdin.unpipe(inside.stdin)
      stdin.pause()
    }
  }
}
