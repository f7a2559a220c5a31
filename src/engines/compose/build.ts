import { DevstackError } from '../../core/error.js'
import type { ImageChoice } from '../../core/images.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { projectArguments } from './arguments.js'
import { createBuildReader } from './build-output.js'
import { explainEngineText } from './docker.js'
import type { EngineContext } from './options.js'
import type { Resolved } from './resolve.js'
import { runCompose } from './run.js'

/** Builds one service's image through Compose; on abort the build's whole process group ends. */
export async function buildService(
  context: EngineContext,
  resolved: Resolved,
  service: string,
  run: ApplyContext,
): Promise<void> {
  const argv = [
    ...projectArguments(context, resolved.profiles, true),
    'build',
    '--progress',
    'plain',
    '--',
    service,
  ]
  const reader = createBuildReader()
  const { exitCode, lastLines } = await runCompose(context, {
    argv,
    signal: run.signal,
    output: (line) => {
      run.output(line)
      const progress = reader.read(line)
      if (progress !== null) run.progress(progress)
    },
  })
  if (exitCode !== 0) throw buildFailed(service, reader.failure(), lastLines)
}

function buildFailed(
  service: string,
  failure: ReturnType<ReturnType<typeof createBuildReader>['failure']>,
  lastLines: readonly string[],
): DevstackError {
  const known = explainEngineText(lastLines.join('\n'))
  if (known?.code === 'DISK_FULL') return known
  const last = failure.lines.length > 0 ? failure.lines : lastLines.slice(-10)
  const step = failure.step === null ? '' : ` at ${failure.step}`
  return new DevstackError('BUILD_FAILED', `the image of ${service} could not be built: it failed${step}`, {
    cause: last.join('\n'),
    hint: `mend it, then: devstack rebuild ${service}`,
  })
}

/** Pulls through the command line, which knows the credential helpers. */
export async function pullImage(
  context: EngineContext,
  choice: ImageChoice,
  run: ApplyContext,
): Promise<void> {
  const layers = new Map<string, boolean>()
  const { exitCode, lastLines } = await runCompose(context, {
    argv: ['docker', 'pull', '--', choice.ref],
    signal: run.signal,
    output: (line) => {
      run.output(line)
      const layer = /^([0-9a-f]{12}): (.*)$/.exec(line)
      if (layer === null) return
      layers.set(layer[1] ?? '', /^(Pull complete|Already exists)/.test(layer[2] ?? ''))
      const done = [...layers.values()].filter(Boolean).length
      const percent = Math.floor((100 * done) / layers.size)
      run.progress({
        text: 'pulling',
        step: done,
        steps: layers.size,
        percent,
        bytes: null,
        totalBytes: null,
      })
    },
  })
  if (exitCode === 0) return
  const text = lastLines.join('\n')
  throw (
    explainEngineText(text) ??
    new DevstackError('PULL_FAILED', `${choice.ref} could not be pulled`, {
      cause: text,
      hint: 'is the name right, the registry reachable, the login valid? Without a registry: images: { source: local } in devstack.yaml',
    })
  )
}

export async function buildImage(
  _context: EngineContext,
  choice: ImageChoice,
  _run: ApplyContext,
): Promise<void> {
  await Promise.reject(new DevstackError('IMAGE_UNAVAILABLE', `no recipe for ${choice.wanted}`))
}
