import { isAbsolute, join, resolve } from 'node:path'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { ComposeEngineOptions } from './options.js'
import { envFilesOf, projectDirectory } from './sources.js'

/**
 * Every file that the project was read from, each once: a change of one of them may ask for another plan.
 * @param sources what the compose files include, extend and name, where they were looked at
 */
export function inputFiles(
  options: ComposeEngineOptions,
  model: ComposeModel,
  sources: readonly string[],
): readonly string[] {
  const usual = join(projectDirectory(options), '.env')
  return [
    ...new Set([
      ...options.files,
      ...(options.configFiles ?? []),
      usual,
      ...envFilesOf(options),
      ...sources,
      ...Object.values(servicesOf(model)).flatMap(({ build }) => buildFiles(build)),
    ]),
  ]
}

function buildFiles(build: ReturnType<typeof servicesOf>[string]['build']): readonly string[] {
  if (build == null || !isAbsolute(build.context)) return []
  const ignore = join(build.context, '.dockerignore')
  if (build.dockerfile_inline !== undefined) return [ignore]
  const dockerfile = resolve(build.context, build.dockerfile ?? 'Dockerfile')
  return [dockerfile, `${dockerfile}.dockerignore`, ignore]
}
