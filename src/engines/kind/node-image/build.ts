import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DevstackError } from '../../../core/error.js'
import type { Progress } from '../../../core/events.js'
import { createBuildProgress } from '../../images/build-progress.js'
import type { FailedStep } from '../../images/build-progress.js'
import type { ImageBuilder } from '../../images/build.js'
import type { HostCa } from '../../images/host-settings.js'
import type { Recipe } from '../../images/recipes.js'
import { IMAGE_LABEL } from '../../images/recipes.js'
import type { RunProgram } from '../../images/run.js'
import { estimateBuild } from './estimate.js'
import type { BuildEstimate } from './estimate.js'
import { proxyArguments, readGoSettings } from './go-settings.js'
import type { NodeRecipe } from './recipe.js'

export interface NodeBuild {
  readonly node: NodeRecipe
  /** The Debian that it is built in. */
  readonly base: Recipe
  readonly baseIsThere: boolean
  readonly builder: ImageBuilder
  readonly run: RunProgram
  readonly hostCa: HostCa | null
  readonly env: Readonly<Record<string, string | undefined>>
  readonly progress: (progress: Progress) => void
  readonly output: (line: string) => void
}

const TELL_MS = 1000

/**
 * Builds the node image. What was compiled when it is aborted waits in the engine's build cache, which the engine itself
 * empties after two days; {@link emptyCompilerCache} does it after a build that succeeded.
 * @throws DevstackError BUILD_FAILED that names the failing step and its last lines
 */
export async function buildNodeImage(build: NodeBuild, signal: AbortSignal): Promise<void> {
  const { base, builder, output } = build
  const estimate = estimateBuild(availableParallelism(), () => performance.now(), build.progress)
  // The estimate changes with the time too.
  const telling = setInterval(() => {
    estimate.tell()
  }, TELL_MS)
  const folder = await mkdtemp(join(tmpdir(), 'devstack-node-'))
  try {
    if (!build.baseIsThere)
      await builder.build(base.name, {
        signal,
        output,
        progress: (own) => {
          estimate.base(own)
        },
      })
    estimate.base(null)
    estimate.tell()
    const argv = await buildArguments(build, folder)
    let failure = await runBuild(build, argv, estimate, signal)
    // The engine does the same work of two builds once, and loses it when the one that began it leaves.
    if (/no active session/i.test(failure?.why ?? '')) failure = await runBuild(build, argv, estimate, signal)
    if (failure !== null) throw failure
  } finally {
    clearInterval(telling)
    await rm(folder, { recursive: true, force: true })
  }
}

async function runBuild(
  { run, output }: NodeBuild,
  argv: readonly string[],
  estimate: BuildEstimate,
  signal: AbortSignal,
): Promise<DevstackError | null> {
  const reader = createBuildProgress((line) => {
    estimate.line(line)
    output(line)
  })
  const { exitCode, stderr } = await run({
    argv,
    signal,
    output: (line) => reader.read(line),
    missing: 'devstack bootstrap',
  })
  return exitCode === 0 ? null : buildFailure(reader.failure(), stderr)
}

/** Gives back the room that compiling took. Where that fails the engine does it by itself some days later. */
export async function emptyCompilerCache(
  { run, node, base }: Pick<NodeBuild, 'run' | 'node' | 'base'>,
  signal: AbortSignal,
): Promise<void> {
  const { folder } = node.recipe
  const argv = [
    'docker',
    'buildx',
    'build',
    '--builder',
    'default',
    '--target',
    'emptied',
    '--provenance=false',
  ]
  argv.push('--build-arg', `BASE=${base.ref}`, '--build-arg', `MOMENT=${String(Date.now())}`)
  await run({ argv: [...argv, '--file', join(folder, 'Dockerfile'), '--', folder], signal })
}

async function buildArguments(build: NodeBuild, folder: string): Promise<readonly string[]> {
  const { node, base, hostCa, env } = build
  const args: Record<string, string> = { ...node.recipe.buildArgs, BASE: base.ref }
  const secrets: string[] = []
  const secret = async (id: string, text: string): Promise<void> => {
    const file = join(folder, id)
    await writeFile(file, text, { mode: 0o600 })
    secrets.push('--secret', `id=${id},src=${file}`)
  }
  if (hostCa !== null) {
    await secret('host-ca', hostCa.pem)
    args['HOST_CA_HASH'] = hostCa.sha256
  }
  // A proxy's address may hold a password: as a secret it is in no layer and no history.
  const settings = await readGoSettings(env)
  if (settings !== '') await secret('go-settings', settings)
  const labels = { [IMAGE_LABEL.image]: node.recipe.name, [IMAGE_LABEL.recipe]: node.hash }
  const argv = ['docker', 'buildx', 'build', '--builder', 'default', '--load', '--progress', 'rawjson']
  argv.push('--provenance=false', '--tag', node.ref, '--file', join(node.recipe.folder, 'Dockerfile'))
  for (const [name, value] of Object.entries(args)) argv.push('--build-arg', `${name}=${value}`)
  for (const [name, value] of Object.entries(labels)) argv.push('--label', `${name}=${value}`)
  return [...argv, ...proxyArguments(env), ...secrets, '--', node.recipe.folder]
}

function buildFailure(step: FailedStep | null, stderr: readonly string[]): DevstackError {
  const lines =
    step === null ? stderr.filter((line) => !/^[\s{}\]]/.test(line)).slice(-10) : step.lastLines.slice(-10)
  const told = [...lines, ...(step === null ? [] : [step.error])].join('\n')
  if (/no space left on device/i.test(told)) {
    return new DevstackError('DISK_FULL', 'the disk is full', {
      cause: 'the node image could not be built: that takes about 6 GB while it lasts',
      hint: 'docker system df shows what takes the room; docker builder prune frees the build cache',
    })
  }
  if (/signal: killed|cannot allocate memory/i.test(told)) {
    return new DevstackError(
      'BUILD_FAILED',
      'the node image could not be built: the memory did not suffice',
      {
        cause: told,
        hint: 'compiling Kubernetes takes about 4 GB; stop other work, then try again: it goes on where it was',
      },
    )
  }
  const what = step === null ? '' : ` at: ${step.name.slice(0, 60)}`
  return new DevstackError('BUILD_FAILED', `the node image could not be built${what}`, {
    cause: told,
    hint: 'check that this machine reaches its Debian mirror and its Go proxy (GOPROXY), then try again: it goes on where it was',
  })
}
