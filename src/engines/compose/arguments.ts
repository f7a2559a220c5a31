import { join } from 'node:path'
import type { EngineContext } from './options.js'

/** Where the generated override file is. */
export function overrideFile(context: EngineContext): string {
  return join(context.options.stateFolder, 'override.yaml')
}

/**
 * Compose's program and the arguments that say which project: files, name, profiles.
 * @param extra files to be read after the generated override file; null: without that one, only the project's own
 */
export function projectArguments(
  context: EngineContext,
  profiles: readonly string[],
  extra: readonly string[] | null,
): readonly string[] {
  const { files, projectName } = context.options
  const all = extra === null ? files : [...files, overrideFile(context), ...extra]
  return [
    ...context.command.compose,
    ...all.flatMap((file) => ['--file', file]),
    '--project-name',
    projectName,
    ...profiles.flatMap((profile) => ['--profile', profile]),
  ]
}
