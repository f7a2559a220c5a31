import { join } from 'node:path'
import type { EngineContext } from './options.js'

/** Where the generated override file is. */
export function overrideFile(context: EngineContext): string {
  return join(context.options.stateFolder, 'override.yaml')
}

/** Compose's program and the arguments that say which project: files, name, profiles. */
export function projectArguments(
  context: EngineContext,
  profiles: readonly string[],
  withOverride: boolean,
): readonly string[] {
  const { files, projectName } = context.options
  const all = withOverride ? [...files, overrideFile(context)] : files
  return [
    ...context.command.compose,
    ...all.flatMap((file) => ['--file', file]),
    '--project-name',
    projectName,
    ...profiles.flatMap((profile) => ['--profile', profile]),
  ]
}
