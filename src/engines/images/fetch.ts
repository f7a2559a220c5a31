import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Recipe } from './recipes.js'
import type { RunProgram } from './run.js'

/** What `uname -m` calls the processors that Node's names stand for, in the engine's words. */
const ENGINE_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

export interface FetchRequest {
  readonly recipe: Recipe
  /** An existing private folder that gets the files. */
  readonly folder: string
  readonly run: RunProgram
  readonly signal: AbortSignal
  readonly output: (line: string) => void
}

/**
 * Fetches a recipe's npm packages with the host's npm: its registry, its certificates and its cache count, and it checks
 * what it got against the registry's own sums.
 */
export async function fetchPackages({ recipe, folder, run, signal, output }: FetchRequest): Promise<void> {
  for (const [file, spec] of Object.entries(recipe.fetch ?? {})) {
    const name = typeof spec === 'string' ? spec : spec[ENGINE_ARCH[process.arch] ?? process.arch]
    if (name === undefined) {
      throw new DevstackError(
        'MACHINE_UNSUPPORTED',
        `the image ${recipe.name} cannot be made on this processor`,
        {
          cause: `the recipe knows no package for ${process.arch}`,
          hint: 'use a registry: images.source: registry',
        },
      )
    }
    const own = await mkdtemp(join(folder, 'pack-'))
    const argv = ['npm', 'pack', '--silent', '--pack-destination', own, '--', name]
    // npm reads .npmrc of the folder it runs in: that of the user's project says nothing about ours.
    const { exitCode, stderr } = await run({
      argv,
      signal,
      output,
      cwd: own,
      missing: 'install Node.js with npm',
    })
    const packed = (await readdir(own)).find((entry) => entry.endsWith('.tgz'))
    if (exitCode !== 0 || packed === undefined) {
      throw new DevstackError(
        'BUILD_FAILED',
        `the image ${recipe.name} could not be made: npm could not fetch ${name}`,
        {
          cause: stderr.slice(-10).join('\n'),
          hint: `npm view ${name} shows whether npm reaches its registry`,
        },
      )
    }
    await mkdir(join(folder, 'fetched'), { recursive: true })
    await copyFile(join(own, packed), join(folder, 'fetched', file))
    await rm(own, { recursive: true })
  }
}
