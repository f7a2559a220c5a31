import type { ServiceExtension } from '../../core/compose.js'
import { DevstackError } from '../../core/error.js'
import type { SourcePosition } from '../../core/error.js'
import type { ResolveRequest } from '../../orchestrator/ports.js'
import { projectArguments } from './arguments.js'
import type { Outcome } from './command.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { EngineContext } from './options.js'

export interface ReadModel {
  readonly model: ComposeModel
  /** Those asked for and those of services that were named. */
  readonly profiles: readonly string[]
  readonly stderr: string
  readonly extensions: Readonly<Record<string, ServiceExtension>>
  readonly locate: (path: readonly (string | number)[]) => SourcePosition | null
}

/** The project's files as Compose reads them. */
export async function readModel(
  context: EngineContext,
  request: Pick<ResolveRequest, 'services' | 'profiles'>,
  signal: AbortSignal,
): Promise<ReadModel> {
  const first = await readConfig(context, request.profiles, signal)
  const profiles = await neededProfiles(context, request, first.model, signal)
  const read =
    profiles.length === request.profiles.length ? first : await readConfig(context, profiles, signal)
  return { ...read, profiles, extensions: {}, locate: () => null }
}

/** A service that is named comes with its profiles, as with Compose itself. */
async function neededProfiles(
  context: EngineContext,
  request: Pick<ResolveRequest, 'services' | 'profiles'>,
  model: ComposeModel,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const missing = request.services.filter((name) => servicesOf(model)[name] === undefined)
  if (missing.length === 0) return request.profiles
  const { model: whole } = await readConfig(context, ['*'], signal)
  const more = missing.flatMap((name) => servicesOf(whole)[name]?.profiles ?? [])
  return [...new Set([...request.profiles, ...more])]
}

async function readConfig(
  context: EngineContext,
  profiles: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly model: ComposeModel; readonly stderr: string }> {
  const argv = [...projectArguments(context, profiles, null), 'config', '--format', 'json']
  const outcome = await context.command.read(argv, context.options.folder, signal)
  if (outcome.exitCode !== 0) throw await explainConfig(context, outcome)
  return { model: JSON.parse(outcome.stdout) as ComposeModel, stderr: outcome.stderr }
}

async function explainConfig(_context: EngineContext, outcome: Outcome): Promise<DevstackError> {
  return await Promise.resolve(
    new DevstackError('CONFIG_INVALID', 'Compose cannot read the project', {
      cause: composeMessage(outcome.stderr),
    }),
  )
}

/** Compose's own words, without its log lines. */
export function composeMessage(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^time="[^"]*" level=/.test(line))
    .join('\n')
    .trim()
}
