import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Progress } from '../../core/events.js'
import { readAptSettings } from './mirrors.js'
import type { AptSettings } from './mirrors.js'
import type { Recipe } from './recipes.js'
import type { RunProgram } from './run.js'

export interface BaseBuild {
  readonly recipe: Recipe
  /** Labels of the image. */
  readonly labels: Readonly<Record<string, string>>
  readonly run: RunProgram
  readonly signal: AbortSignal
  readonly progress: (progress: Progress) => void
  readonly output: (line: string) => void
}

/** What mmdebstrap says it does, in its order; the import into the engine is the last step. */
const STEPS: readonly string[] = [
  'running apt-get update',
  'downloading packages',
  'extracting archives',
  'installing essential packages',
  'installing remaining packages',
  'cleaning package lists',
  'creating tarball',
]

/** Makes the image that all others start from: a minimal Debian, out of packages alone. */
export async function buildBase(build: BaseBuild): Promise<void> {
  const { recipe, run, signal, output } = build
  const folder = await mkdtemp(join(tmpdir(), 'devstack-base-'))
  const tarball = join(folder, 'base.tar')
  try {
    report(build, 0, 'reading the settings of apt')
    const apt = await readAptSettings(recipe.suite ?? '', run, signal)
    const argv = ['mmdebstrap', ...bootstrapArguments(recipe, apt, tarball)]
    const missing = 'apt-get install mmdebstrap debian-archive-keyring (Debian and Ubuntu), or use a registry'
    const made = await run({
      argv,
      signal,
      missing,
      output: (line) => {
        const step = STEPS.findIndex((text) => line.startsWith(`I: ${text}`))
        if (step >= 0) report(build, step, STEPS[step] ?? '')
        output(line)
      },
    })
    if (made.exitCode !== 0) throw failed(recipe, 'mmdebstrap', made.stderr)
    report(build, STEPS.length, 'importing the image')
    await importBase(build, tarball)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function importBase(
  { recipe, labels, run, signal, output }: BaseBuild,
  tarball: string,
): Promise<void> {
  const changes = ['CMD ["bash"]', ...Object.entries(labels).map(([name, value]) => `LABEL ${name}=${value}`)]
  const argv = [
    'docker',
    'import',
    ...changes.flatMap((change) => ['--change', change]),
    '--',
    tarball,
    recipe.ref,
  ]
  const imported = await run({ argv, signal, output })
  if (imported.exitCode !== 0) throw failed(recipe, 'docker import', imported.stderr)
}

/** Pure. */
function bootstrapArguments(recipe: Recipe, apt: AptSettings, tarball: string): readonly string[] {
  const settings = (name: string | undefined): string => join(recipe.folder, name ?? '')
  const https = apt.sources.some((line) => line.includes('https:'))
  return [
    '--variant=minbase',
    '--components=main',
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    ...apt.options.map((option) => `--aptopt=${option}`),
    ...(https ? ['--include=ca-certificates'] : []),
    // Named ahead of the first package: what dpkg leaves out must be left out from the beginning.
    `--dpkgopt=${settings(recipe.dpkg)}`,
    `--customize-hook=copy-in ${shellWord(settings(recipe.apt))} /etc/apt/apt.conf.d`,
    '--customize-hook=rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/var/log/apt "$1"/var/log/*.log',
    '--format=tar',
    recipe.suite ?? '',
    tarball,
    ...apt.sources,
  ]
}

/** mmdebstrap reads its hooks as a shell would. */
function shellWord(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function report(build: BaseBuild, step: number, text: string): void {
  const steps = STEPS.length + 1
  const percent = Math.round((step / steps) * 100)
  build.progress({ text, step: step + 1, steps, percent, bytes: null, totalBytes: null })
}

function failed(recipe: Recipe, program: string, stderr: readonly string[]): DevstackError {
  const wrong = stderr.filter((line) => /^[EW]: |error/i.test(line))
  return new DevstackError('BUILD_FAILED', `the image ${recipe.name} could not be made: ${program} failed`, {
    cause: (wrong.length > 0 ? wrong : stderr).slice(-10).join('\n'),
    hint: 'check that apt-get update works on this machine, then: devstack up',
  })
}
