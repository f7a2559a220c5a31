import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { ComposeEngineOptions, EngineContext } from './options.js'
import type { ComposeSources, SourceRequest } from './source/types.js'

/** Words that Compose's own output leaves out, or that bring in other files. */
const HIDDEN = /x-devstack|^["']?include\b|\bextends\b|\b(?:env|label)_file\b|\bwatch\b/m

/** Whether the files hold something that `docker compose config` does not print. */
export async function hideSomething(context: EngineContext): Promise<boolean> {
  const texts = await Promise.all(context.options.files.map((file) => readFile(file, 'utf8').catch(() => '')))
  return texts.some((text) => HIDDEN.test(text))
}

/** The files as they are written, with the place of every key. Takes 50 ms, so only where it is needed. */
export async function readSources(
  context: EngineContext,
  profiles: readonly string[],
): Promise<ComposeSources> {
  const { readComposeSources } = await import('./source/explain.js')
  return await readComposeSources(sourceRequest(context, profiles))
}

/** Every problem of the files at its place; Compose's own words where none is found. */
export async function explainFiles(
  context: EngineContext,
  profiles: readonly string[],
  composeMessage: string | null,
): Promise<DevstackError | null> {
  const { explainComposeErrors } = await import('./source/explain.js')
  const request = sourceRequest(context, profiles)
  const { problems } = await explainComposeErrors(
    composeMessage === null ? request : { ...request, composeMessage },
  )
  if (problems.length === 0) {
    return composeMessage === null
      ? null
      : new DevstackError('CONFIG_INVALID', 'Compose cannot read the project', { cause: composeMessage })
  }
  const count = problems.length === 1 ? 'a problem' : `${String(problems.length)} problems`
  return new DevstackError('CONFIG_INVALID', `the compose files have ${count}`, {
    at: problems[0]?.at ?? null,
    problems: problems.map(({ message, at, hint }) => ({ message, at, hint })),
  })
}

function sourceRequest({ options }: EngineContext, profiles: readonly string[]): SourceRequest {
  const { files, env } = options
  return { files, env, envFiles: envFilesOf(options), profiles, projectDirectory: projectDirectory(options) }
}

/** What Compose's own relative paths start from. */
export function projectDirectory({ files, folder }: ComposeEngineOptions): string {
  return files[0] === undefined ? folder : dirname(files[0])
}

/** The env files that Compose replaces variables from. */
export function envFilesOf(options: ComposeEngineOptions): readonly string[] {
  const named = (options.env['COMPOSE_ENV_FILES'] ?? '').split(',').filter((file) => file !== '')
  return named.length > 0
    ? named.map((file) => resolve(options.folder, file))
    : defaultEnvFile(projectDirectory(options))
}

/** The one that Compose reads by itself, and does not miss. */
function defaultEnvFile(folder: string): readonly string[] {
  const file = join(folder, '.env')
  return existsSync(file) ? [file] : []
}
