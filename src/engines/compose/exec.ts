import { DevstackError } from '../../core/error.js'
import type { ExecRequest } from '../../orchestrator/ports.js'
import { LABEL } from './labels.js'
import { listContainers } from './observe.js'
import type { EngineContext } from './options.js'

/** Runs a command in a service's container with this process's terminal; resolves with its exit code. */
export async function execInService(
  context: EngineContext,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<number> {
  const id = await runningContainer(context, request.service, signal)
  const { execa } = await import('execa')
  const result = await execa('docker', execArguments(id, request), {
    env: context.command.env,
    extendEnv: false,
    stdio: 'inherit',
    reject: false,
    cancelSignal: signal,
  })
  signal.throwIfAborted()
  if ((result as { code?: string }).code === 'ENOENT') {
    throw new DevstackError('ENGINE_NOT_INSTALLED', 'the docker program is not installed', {
      hint: 'devstack bootstrap',
    })
  }
  if (result.exitCode !== undefined) return result.exitCode
  throw new DevstackError('EXEC_FAILED', `the command in ${request.service} was ended`, {
    cause: result.signal === undefined ? result.shortMessage : `by ${result.signal}`,
  })
}

/** `docker exec`'s arguments; the user's words come last, where none of them can be read as an option. */
export function execArguments(id: string, request: ExecRequest): readonly string[] {
  return [
    'exec',
    ...(request.interactive ? ['--interactive'] : []),
    ...(request.tty ? ['--tty'] : []),
    ...(request.user === null ? [] : [`--user=${request.user}`]),
    ...(request.workdir === null ? [] : [`--workdir=${request.workdir}`]),
    ...Object.entries(request.env).map(([name, value]) => `--env=${name}=${value}`),
    '--',
    id,
    ...request.argv,
  ]
}

async function runningContainer(
  { docker, options }: EngineContext,
  service: string,
  signal: AbortSignal,
): Promise<string> {
  const containers = await listContainers(docker, options.projectName, signal)
  const own = containers.filter(({ Labels }) => Labels[LABEL.service] === service)
  const running = own
    .filter(({ State }) => State === 'running')
    .sort((a, b) => Number(a.Labels[LABEL.number]) - Number(b.Labels[LABEL.number]))
  const [first] = running
  if (first !== undefined) return first.Id
  throw new DevstackError('SERVICE_FAILED', `${service} is not running`, {
    cause: own.length === 0 ? 'it has no container' : `its container is ${own[0]?.State ?? 'gone'}`,
    hint: `devstack up ${service}`,
  })
}
