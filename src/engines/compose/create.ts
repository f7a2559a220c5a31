import { DevstackError } from '../../core/error.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { projectArguments } from './arguments.js'
import { explainEngineText, isNotFound } from './docker.js'
import { isLeftOver } from './labels.js'
import { listContainers } from './observe.js'
import type { EngineContext } from './options.js'
import { composeMessage } from './read-model.js'
import type { Resolved } from './resolve.js'
import { runCompose } from './run.js'

/** Creates, or recreates, the containers of `services` with their networks and volumes; starts none. */
export async function create(
  context: EngineContext,
  resolved: Resolved,
  services: readonly string[],
  run: ApplyContext,
): Promise<void> {
  await repairLeftOvers(context, run)
  const argv = [
    ...projectArguments(context, resolved.profiles, []),
    'create',
    '--no-build',
    '--pull',
    'never',
    '--',
    ...services,
  ]
  run.progress({ text: 'creating', step: null, steps: null, percent: null, bytes: null, totalBytes: null })
  const { exitCode, lastLines } = await runCompose(context, { argv, signal: run.signal, output: run.output })
  const text = composeMessage(lastLines.join('\n'))
  // Compose asks before it deletes a volume's data; with no terminal to ask at it must never be answered for.
  if (/doesn't match configuration in compose file|Recreate \(data will be lost\)/i.test(text))
    throw volumeQuestion(text)
  if (exitCode !== 0) throw createFailed(text)
}

function volumeQuestion(text: string): DevstackError {
  const name = /Volume "([^"]+)"/.exec(text)?.[1] ?? 'a volume'
  return new DevstackError('CONSENT_NEEDED', `${name} was made from another definition`, {
    cause: 'Compose could only take the new one by deleting the data in it',
    hint: 'undo the change, or give up the data: devstack down --volumes',
  })
}

function createFailed(text: string): DevstackError {
  const known = explainEngineText(text)
  if (known !== null) return known
  const cause = text.replace(/^Error response from daemon: /m, '')
  const conflict = /The container name "\/?([^"]+)" is already in use/.exec(text)
  if (conflict !== null) {
    return new DevstackError('OPERATION_FAILED', `the container name ${conflict[1] ?? ''} is taken`, {
      cause,
      hint: `remove that container (docker rm ${conflict[1] ?? ''}), or take container_name out of the compose file`,
    })
  }
  if (/No such image/i.test(text)) {
    return new DevstackError('IMAGE_UNAVAILABLE', 'an image is not there', { cause, hint: 'devstack images' })
  }
  return new DevstackError('OPERATION_FAILED', 'could not create the containers', { cause, hint: null })
}

/**
 * A recreation makes `<id>_name`, removes the old container and renames the new one. Killed in the middle it leaves both,
 * which makes Compose fail on the name ever after: the new one goes where the old one is still there, else it gets its name.
 */
async function repairLeftOvers(context: EngineContext, run: ApplyContext): Promise<void> {
  const { docker, options } = context
  const containers = await listContainers(docker, options.projectName, run.signal)
  const names = new Set(containers.flatMap(({ Names }) => Names.map((name) => name.replace(/^\//, ''))))
  for (const { Id, Names, State } of containers) {
    const name = (Names[0] ?? '').replace(/^\//, '')
    const container = (await docker.client()).getContainer(Id)
    try {
      if (isLeftOver(name)) {
        const right = name.slice(name.indexOf('_') + 1)
        if (names.has(right)) await container.remove({ force: true })
        else await container.rename({ name: right })
        run.output(`repaired ${name}, left by a run that was killed`)
      } else if (State === 'dead') {
        await container.remove({ force: true })
      }
    } catch (error) {
      if (!isNotFound(error)) throw docker.explain(error, `repair ${name}`)
    }
  }
}
