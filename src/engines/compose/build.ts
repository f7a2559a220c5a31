import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { ImageChoice } from '../../core/images.js'
import type { ApplyContext } from '../../orchestrator/ports.js'
import { withoutSyntax } from '../images/dockerfile.js'
import { encodeManifest } from '../images/manifest.js'
import { shortReference } from '../images/reference.js'
import { projectArguments } from './arguments.js'
import { readBuild } from './build-inputs.js'
import type { BuildSource } from './build-inputs.js'
import { createBuildReader } from './build-output.js'
import type { BuildFailure } from './build-output.js'
import { explainEngineText } from './docker.js'
import { indexImages } from './image-index.js'
import { LABEL } from './labels.js'
import type { EngineContext } from './options.js'
import { formatFragment } from './override.js'
import type { Resolved } from './resolve.js'
import { runCompose } from './run.js'
import { readIfThere, writeIfChanged } from './state.js'

/** Builds one service's image through Compose; on abort the build's whole process group ends. */
export async function buildService(
  context: EngineContext,
  resolved: Resolved,
  service: string,
  run: ApplyContext,
): Promise<void> {
  const { signal } = run
  const source = await readBuild(resolved.model, resolved.resolution.project, service, signal)
  const fragment = await writeFragment(context, resolved, service, source, run)
  const argv = [
    ...projectArguments(context, resolved.profiles, [fragment]),
    '--progress',
    'plain',
    'build',
    '--',
    service,
  ]
  const reader = createBuildReader()
  const { exitCode, lastLines } = await runCompose(context, {
    argv,
    signal,
    output: (line) => {
      const printed = reader.printed(line)
      if (printed !== null) run.output(printed)
      const progress = reader.read(line)
      if (progress !== null) run.progress(progress)
    },
  })
  if (exitCode !== 0) throw buildFailed(service, reader.failure(), lastLines)
}

/**
 * What the build gets beyond the project's files: its bases as named contexts, and the labels that tell later runs what it
 * was made of. Kept apart from the override file, since it changes with every edit of a source.
 */
async function writeFragment(
  context: EngineContext,
  { images }: Resolved,
  service: string,
  source: BuildSource,
  run: ApplyContext,
): Promise<string> {
  const present = indexImages(await context.images.engine.images(run.signal))
  const replaced = images.choices.filter(
    ({ wanted, ref, services }) =>
      services.includes(service) && wanted !== ref && source.bases.some((base) => base.ref === wanted),
  )
  const contexts = replaced.map(({ wanted, ref }) => [contextName(wanted), `docker-image://${ref}`] as const)
  const manifest = source.manifest === null ? null : encodeManifest(source.manifest)
  if (manifest?.label === null) {
    run.emit({
      type: 'warned',
      message: `${service}: files that are deleted here stay in its container: ${manifest.reason}`,
      hint: 'leave out in .dockerignore what the image does not need',
      place: null,
    })
  }
  const build = {
    ...(contexts.length === 0 ? {} : { additional_contexts: Object.fromEntries(contexts) }),
    ...(await plainDockerfile(context, service, source, run.signal)),
    labels: {
      [LABEL.build]: source.hash(images.choices, present),
      ...(manifest?.label == null ? {} : { [LABEL.manifest]: manifest.label }),
    },
  }
  const file = join(context.options.stateFolder, `build-${service}.yaml`)
  await writeIfChanged(file, formatFragment(service, { build }), await readIfThere(file))
  return file
}

/** As BuildKit looks a base up: the short form, without the tag that goes without saying. */
function contextName(ref: string): string {
  return shortReference(ref).replace(/:latest$/, '')
}

/**
 * A `# syntax=` line has BuildKit fetch its frontend from a registry; where none answers the one it brings along must do,
 * and reads a copy of the Dockerfile without the line.
 */
async function plainDockerfile(
  context: EngineContext,
  service: string,
  source: BuildSource,
  signal: AbortSignal,
): Promise<{ readonly dockerfile?: string; readonly dockerfile_inline?: string }> {
  const { syntax, text, dockerfile } = source
  if (syntax === null || text === null || context.options.images.source === 'registry') return {}
  if (context.options.images.source === 'auto') {
    const images = indexImages(await context.images.engine.images(signal))
    if (images.find(syntax.ref) !== undefined) return {}
    if ((await (await context.images.probe())(syntax.ref, signal)).answers) return {}
  }
  if (dockerfile === null) return { dockerfile_inline: withoutSyntax(text) }
  const folder = join(context.options.stateFolder, 'dockerfiles')
  const copy = join(folder, service)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(copy, withoutSyntax(text), { mode: 0o600 })
  // The Dockerfile's own ignore file lies beside it.
  const ignore = await readFile(`${dockerfile}.dockerignore`).catch(() => null)
  if (ignore !== null) await writeFile(`${copy}.dockerignore`, ignore, { mode: 0o600 })
  return { dockerfile: copy }
}

function buildFailed(service: string, failure: BuildFailure, lastLines: readonly string[]): DevstackError {
  const known = explainEngineText(lastLines.join('\n'))
  if (known?.code === 'DISK_FULL') return known
  const step = failure.step === null ? '' : `, at ${failure.step}`
  return new DevstackError('BUILD_FAILED', `the image of ${service} could not be built${step}`, {
    cause: causeOf(failure, lastLines),
    hint: `mend it, then: devstack rebuild ${service}`,
  })
}

/** One line where the step is known: what it printed is told apart. */
function causeOf({ lines, error }: BuildFailure, lastLines: readonly string[]): string {
  const last = lines.findLast((line) => line.trim() !== '')
  if (error === null) return last ?? lastLines.slice(-10).join('\n')
  return last === undefined ? error : `${last.trim()} (${error})`
}

/** Pulls through the command line, which knows the credential helpers. */
export async function pullImage(
  context: EngineContext,
  choice: ImageChoice,
  run: ApplyContext,
): Promise<void> {
  const { pullImage: pull } = await import('../images/pull.js')
  await pull(choice.ref, await context.images.run(), run)
}

/** Builds an image from its recipe, with its base where that is missing. */
export async function buildImage(
  context: EngineContext,
  choice: ImageChoice,
  run: ApplyContext,
): Promise<void> {
  if (choice.recipe === null) throw new Error(`${choice.ref} has no recipe`)
  await (await context.images.builder()).build(choice.recipe, run)
}
