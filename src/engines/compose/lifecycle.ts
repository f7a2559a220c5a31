import { DevstackError } from '../../core/error.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { projectArguments } from './arguments.js'
import { explainEngineText } from './docker.js'
import { LABEL } from './labels.js'
import { needsComposeLifecycle, servicesOf } from './model.js'
import { inspect, listContainers } from './observe.js'
import type { ListedContainer } from './observe.js'
import type { EngineContext } from './options.js'
import { composeMessage } from './read-model.js'
import type { Resolved } from './resolve.js'
import { runCompose } from './run.js'

/** Starts what is created or stopped of one service, without looking at its dependencies. */
export async function start(
  context: EngineContext,
  resolved: Resolved | null,
  service: string,
  run: ApplyContext,
): Promise<void> {
  if (needsComposeLifecycle(resolved?.model.services?.[service])) {
    return await composeVerb(context, resolved, ['start'], [service], run)
  }
  const containers = await ofServices(context, [service], run.signal)
  if (containers.length === 0) {
    throw new DevstackError('SERVICE_FAILED', `${service} has no container`, {
      hint: `devstack up ${service}`,
    })
  }
  await Promise.all(containers.map((container) => startOne(context, container, run)))
}

async function startOne(
  context: EngineContext,
  container: ListedContainer,
  run: ApplyContext,
): Promise<void> {
  if (container.State === 'running' || container.State === 'restarting') return
  const client = (await context.docker.client()).getContainer(container.Id)
  const name = container.Labels[LABEL.service] ?? container.Id
  try {
    await (container.State === 'paused'
      ? client.unpause({ abortSignal: run.signal })
      : startWhole(client.start(), run.signal))
    await context.deliverer.started(container.Id, name, run.signal)
  } catch (error) {
    run.signal.throwIfAborted()
    // Started meanwhile: by a restart policy, or by somebody.
    if ((error as { statusCode?: number }).statusCode === 304) return
    throw startFailed(context, name, error)
  }
}

/** How long a start that the engine has begun is waited for although it is not wanted any more. */
const LATE_START_MS = 5000

/** The engine finishes a start that it has begun: who cancels must know of the container to stop it. */
async function startWhole(started: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const late = Promise.withResolvers<void>()
  const abort = (): void => {
    setTimeout(late.resolve, LATE_START_MS).unref()
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([started, late.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
  signal.throwIfAborted()
}

function startFailed(context: EngineContext, service: string, error: unknown): Error {
  const explained = context.docker.explain(error, `start ${service}`)
  if (!(explained instanceof DevstackError) || explained.code !== 'OPERATION_FAILED') return explained
  return new DevstackError('SERVICE_FAILED', `${service} could not be started`, {
    cause: explained.why,
    hint: `look at its command, user and volumes: devstack config`,
  })
}

/** Longest time that stopping waits for one container, whatever its own grace period says. */
const LONGEST_GRACE = 60
/** The engine's own, where a service names none. */
const DEFAULT_GRACE = 10

/**
 * Stops the services, those that need others first. Each container has its `stop_grace_period` before it is killed; `force`
 * kills at once.
 */
export async function stop(
  context: EngineContext,
  resolved: Resolved | null,
  services: readonly string[],
  force: boolean,
  run: ApplyContext,
): Promise<void> {
  const containers = await ofServices(context, services, run.signal)
  const alive = containers.filter(
    ({ State }) => State === 'running' || State === 'restarting' || State === 'paused',
  )
  if (force) {
    await Promise.all(alive.map((container) => endOne(context, container, null, run)))
    return
  }
  const hooked = services.filter((name) => needsComposeLifecycle(resolved?.model.services?.[name]))
  if (hooked.length > 0) await composeVerb(context, resolved, ['stop'], hooked, run)
  const plain = alive.filter(({ Labels }) => !hooked.includes(Labels[LABEL.service] ?? ''))
  const grace = await readGrace(context, plain, run.signal)
  const begin = performance.now()
  // All together take no longer than the longest of them may: a chain of deaf services would add up.
  const longest = Math.max(0, ...grace.values())
  await inReverseOrder(resolved, plain, async (container) => {
    const left = Math.ceil(longest - (performance.now() - begin) / 1000)
    const own = grace.get(container.Id) ?? DEFAULT_GRACE
    await endOne(context, container, Math.min(own, Math.max(1, left)), run)
  })
}

/** By container: its own grace period in seconds. */
async function readGrace(
  { docker }: EngineContext,
  containers: readonly ListedContainer[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const read = await Promise.all(
    containers.map(async ({ Id }) => {
      const seconds = (await inspect(docker, Id, signal))?.Config.StopTimeout ?? DEFAULT_GRACE
      return [Id, Math.min(seconds, LONGEST_GRACE)] as const
    }),
  )
  return new Map(read)
}

/** Each container once all containers of its dependants are done. */
async function inReverseOrder(
  resolved: Resolved | null,
  containers: readonly ListedContainer[],
  end: (container: ListedContainer) => Promise<void>,
): Promise<void> {
  const model = resolved === null ? {} : servicesOf(resolved.model)
  const ending = new Map<string, Promise<void>>()
  const endService = (name: string): Promise<void> => {
    const known = ending.get(name)
    if (known !== undefined) return known
    const dependants = Object.keys(model).filter((other) => model[other]?.depends_on?.[name] !== undefined)
    const work = Promise.all(dependants.map(endService)).then(async () => {
      const own = containers.filter(({ Labels }) => Labels[LABEL.service] === name)
      await Promise.all(own.map(end))
    })
    ending.set(name, work)
    return work
  }
  const names = new Set(containers.map(({ Labels }) => Labels[LABEL.service] ?? ''))
  await Promise.all([...names].map(endService))
}

/** `grace` null kills at once. */
async function endOne(
  context: EngineContext,
  container: ListedContainer,
  grace: number | null,
  run: ApplyContext,
): Promise<void> {
  const client = (await context.docker.client()).getContainer(container.Id)
  const abortSignal = run.signal
  try {
    await (grace === null ? client.kill({ abortSignal }) : client.stop({ t: grace, abortSignal }))
  } catch (error) {
    run.signal.throwIfAborted()
    const { statusCode } = error as { statusCode?: number }
    // Ended or removed meanwhile.
    if (statusCode === 304 || statusCode === 404 || statusCode === 409) return
    throw context.docker.explain(error, `stop ${container.Labels[LABEL.service] ?? container.Id}`)
  }
}

/** Removes containers and networks of the project, and with `volumes` its own volumes: all by label, nobody else's. */
export async function remove(
  context: EngineContext,
  resolved: Resolved | null,
  volumes: boolean,
  run: ApplyContext,
): Promise<void> {
  const { options } = context
  const containers = await listContainers(context.docker, options.projectName, run.signal)
  const services = [...new Set(containers.map(({ Labels }) => Labels[LABEL.service] ?? ''))]
  // Our own way of stopping has a bound; Compose then finds nothing that runs.
  await stop(context, resolved, services, false, run)
  const hooked = Object.values(resolved?.model.services ?? {}).some(needsComposeLifecycle)
  // Without files Compose finds everything by label: services of other profiles, and of a file that is broken by now.
  const project = hooked
    ? projectArguments(context, ['*'], [])
    : [
        ...context.command.compose,
        '--project-name',
        options.projectName,
        '--project-directory',
        options.stateFolder,
      ]
  const argv = [...project, 'down', '--remove-orphans', ...(volumes ? ['--volumes'] : [])]
  const { exitCode, lastLines } = await runCompose(context, {
    argv,
    signal: run.signal,
    output: run.output,
    ...(hooked ? {} : { cwd: options.stateFolder }),
  })
  if (exitCode === 0) return
  const text = composeMessage(lastLines.join('\n'))
  throw (
    explainEngineText(text) ??
    new DevstackError('OPERATION_FAILED', 'could not remove everything', {
      cause: text,
      hint: 'devstack down',
    })
  )
}

async function composeVerb(
  context: EngineContext,
  resolved: Resolved | null,
  verb: readonly string[],
  services: readonly string[],
  run: ApplyContext,
): Promise<void> {
  const argv = [...projectArguments(context, resolved?.profiles ?? [], []), ...verb, '--', ...services]
  const { exitCode, lastLines } = await runCompose(context, { argv, signal: run.signal, output: run.output })
  if (exitCode === 0) return
  const cause = composeMessage(lastLines.join('\n'))
  throw new DevstackError('SERVICE_FAILED', `could not ${verb.join(' ')} ${services.join(', ')}`, { cause })
}

async function ofServices(
  context: EngineContext,
  services: readonly string[],
  signal: AbortSignal,
): Promise<readonly ListedContainer[]> {
  const all = await listContainers(context.docker, context.options.projectName, signal)
  return all.filter(({ Labels }) => services.includes(Labels[LABEL.service] ?? ''))
}
