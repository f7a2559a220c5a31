import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import PQueue from 'p-queue'
import { DevstackError } from '../../core/error.js'
import type { Progress } from '../../core/events.js'
import { buildBase } from './base.js'
import { createBuildProgress } from './build-progress.js'
import type { FailedStep } from './build-progress.js'
import type { ImageEngine } from './engine.js'
import { fetchPackages } from './fetch.js'
import type { HostCa } from './host-settings.js'
import { IMAGE_LABEL } from './recipes.js'
import type { Recipe } from './recipes.js'
import type { RunProgram } from './run.js'
import { createSharedTask } from './shared-task.js'
import type { SharedTask } from './shared-task.js'

export interface ImageBuilderOptions {
  readonly recipes: readonly Recipe[]
  readonly engine: ImageEngine
  readonly run: RunProgram
  readonly hostCa: HostCa | null
  /** Maven's settings.xml of this user, or null. */
  readonly mavenSettings: string | null
}

export interface ImageBuildRequest {
  readonly signal: AbortSignal
  readonly progress: (progress: Progress) => void
  /** A line that the build printed, sanitised. */
  readonly output: (line: string) => void
}

/** Builds images from recipes; one builder serves a whole run. */
export interface ImageBuilder {
  /**
   * Builds the image of a recipe, and its base first where that is missing.
   * @throws DevstackError BUILD_FAILED that names the failing step and its last lines
   */
  build(name: string, request: ImageBuildRequest): Promise<void>
}

/** More at a time fight over the same processors and the same network. */
const CONCURRENCY = 2

/** Independent recipes are built side by side, at most two at a time; a base that several need is built once. */
export function createImageBuilder(options: ImageBuilderOptions): ImageBuilder {
  const queue = new PQueue({ concurrency: CONCURRENCY, autoStart: false })
  const bases = new Map<string, SharedTask<ImageBuildRequest>>()

  const buildBaseOnce = async (recipe: Recipe, request: ImageBuildRequest): Promise<void> => {
    const images = await options.engine.images(request.signal)
    if (images.some(({ tags }) => tags.includes(recipe.ref))) return
    const task = bases.get(recipe.ref) ?? createSharedTask((merged) => make(recipe, merged))
    bases.set(recipe.ref, task)
    await task.join(request)
  }

  const make = async (recipe: Recipe, request: ImageBuildRequest): Promise<void> => {
    if (recipe.kind === 'debootstrap') {
      await buildBase({ ...request, recipe, labels: imageLabels(recipe), run: options.run })
      return
    }
    const base = options.recipes.find(({ name }) => name === recipe.base)
    if (base !== undefined) await buildBaseOnce(base, request)
    request.progress(waiting('waits for another build'))
    const build = queue.add(() => buildDockerfile(options, recipe, base ?? null, request), {
      priority: recipe.usualSeconds ?? 0,
    })
    // All who waited for the base come here in one go: the queue sorts them before it begins.
    setImmediate(() => queue.start())
    await build
  }

  return {
    async build(name, request) {
      const recipe = options.recipes.find((recipe) => recipe.name === name)
      if (recipe === undefined) throw new Error(`no recipe ${name}`)
      if (recipe.kind === 'debootstrap') await buildBaseOnce(recipe, request)
      else await make(recipe, request)
    },
  }
}

/** The labels of a recipe's image. */
export function imageLabels(recipe: Recipe): Readonly<Record<string, string>> {
  return {
    [IMAGE_LABEL.image]: recipe.name,
    [IMAGE_LABEL.recipe]: recipe.hash,
    [IMAGE_LABEL.family]: recipe.family,
    [IMAGE_LABEL.major]: recipe.major,
    ...(recipe.reduced === undefined ? {} : { [IMAGE_LABEL.reduced]: recipe.reduced }),
  }
}

async function buildDockerfile(
  options: ImageBuilderOptions,
  recipe: Recipe,
  base: Recipe | null,
  request: ImageBuildRequest,
): Promise<void> {
  const { signal, output } = request
  signal.throwIfAborted()
  const folder = await mkdtemp(join(tmpdir(), 'devstack-build-'))
  try {
    if (recipe.fetch !== undefined) {
      request.progress(waiting('fetching packages with npm'))
      await fetchPackages({ recipe, folder, run: options.run, signal, output })
    }
    const argv = await buildArguments(options, recipe, base, folder)
    const reader = createBuildProgress(output)
    const take = (line: string): void => {
      const progress = reader.read(line)
      if (progress !== null) request.progress(progress)
    }
    const { exitCode, stderr } = await options.run({ argv, signal, output: take })
    // Not the quiet output: that prints an old image's id when a build fails.
    if (exitCode !== 0) throw buildFailure(recipe, reader.failure(), stderr)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function buildArguments(
  { hostCa, mavenSettings }: ImageBuilderOptions,
  recipe: Recipe,
  base: Recipe | null,
  folder: string,
): Promise<readonly string[]> {
  const args: Record<string, string> = { ...recipe.buildArgs }
  if (base !== null) args['BASE'] = base.ref
  const secrets: string[] = []
  if (hostCa !== null && (recipe.trustsHost || recipe.usesHostCa === true)) {
    const file = join(folder, 'host-ca.pem')
    await writeFile(file, hostCa.pem, { mode: 0o600 })
    secrets.push(`id=host-ca,src=${file}`)
    args['HOST_CA_HASH'] = hostCa.sha256
    if (recipe.trustsHost) args['TRUST_HOST_CA'] = 'yes'
  }
  if (recipe.usesMavenSettings === true && mavenSettings !== null) {
    secrets.push(`id=maven-settings,src=${mavenSettings}`)
  }
  const argv = ['docker', 'buildx', 'build']
  // The engine's own builder: another one would not see the base, which is in no registry.
  argv.push('--builder', 'default', '--load', '--progress', 'rawjson', '--provenance=false')
  argv.push('--tag', recipe.ref, '--file', join(recipe.folder, 'Dockerfile'))
  for (const [name, value] of Object.entries(args)) argv.push('--build-arg', `${name}=${value}`)
  for (const [name, value] of Object.entries(imageLabels(recipe))) argv.push('--label', `${name}=${value}`)
  for (const secret of secrets) argv.push('--secret', secret)
  if (recipe.fetch !== undefined) argv.push('--build-context', `fetched=${join(folder, 'fetched')}`)
  if (recipe.shared !== undefined)
    argv.push('--build-context', `shared=${join(recipe.folder, '..', 'shared')}`)
  return [...argv, '--', recipe.folder]
}

function buildFailure(recipe: Recipe, step: FailedStep | null, stderr: readonly string[]): DevstackError {
  const lines =
    step === null ? stderr.filter((line) => !/^[\s{}\]]/.test(line)).slice(-10) : step.lastLines.slice(-10)
  const what = step === null ? '' : ` at: ${step.name}`
  if (
    lines.some((line) => /no space left on device/i.test(line)) ||
    /no space left/i.test(step?.error ?? '')
  ) {
    return new DevstackError('DISK_FULL', 'the disk is full', {
      cause: `the image ${recipe.name} could not be built${what}`,
      hint: 'docker system df shows what takes the room; devstack images --prune frees superseded images',
    })
  }
  return new DevstackError('BUILD_FAILED', `the image ${recipe.name} could not be built${what}`, {
    cause: [...lines, ...(step === null ? [] : [step.error])].join('\n'),
    hint: 'check that this machine reaches its package mirrors (apt-get update, npm ping), then: devstack up',
  })
}

function waiting(text: string): Progress {
  return { text, step: null, steps: null, percent: null, bytes: null, totalBytes: null }
}
