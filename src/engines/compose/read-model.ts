import type { ServiceExtension } from '../../core/compose.js'
import type { Problem, SourcePosition } from '../../core/error.js'
import type { ResolveRequest } from '../../orchestrator/ports.js'
import { projectArguments } from './arguments.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'
import type { EngineContext } from './options.js'
import type { ComposeSources } from './source/types.js'
import { explainFiles, hideSomething, readSources } from './sources.js'
import { composeWarnings, plainWarning, unsetVariable } from './warnings.js'

export interface ReadModel {
  readonly model: ComposeModel
  /** Those asked for and those of services that were named. */
  readonly profiles: readonly string[]
  /** What Compose warned about. */
  readonly warnings: readonly Problem[]
  readonly extensions: Readonly<Record<string, ServiceExtension>>
  /** What the compose files include, extend and name, as far as they were looked at. */
  readonly inputs: readonly string[]
  readonly locate: (path: readonly (string | number)[]) => SourcePosition | null
}

/**
 * The project's files as Compose reads them.
 * @throws DevstackError CONFIG_INVALID with every problem at its place
 */
export async function readModel(
  context: EngineContext,
  request: Pick<ResolveRequest, 'services' | 'profiles'>,
  signal: AbortSignal,
): Promise<ReadModel> {
  // Places and blocks of our own are looked for while Compose reads, and only where somebody will see them.
  const looking = hideSomething(context).then((hidden) =>
    hidden ? readSources(context, request.profiles) : null,
  )
  looking.catch(() => undefined)
  const first = await readConfig(context, request.profiles, signal)
  const profiles = await neededProfiles(context, request, first.model, signal)
  const { model, stderr } =
    profiles.length === request.profiles.length ? first : await readConfig(context, profiles, signal)
  const warnings = composeWarnings(stderr)
  const needed = warnings.length > 0 || !context.options.primary
  const sources = (await looking) ?? (needed ? await readSources(context, profiles) : null)
  return {
    model,
    profiles,
    warnings: sources === null ? warnings.map(plainWarning) : placed(warnings, sources),
    extensions: sources?.extensions ?? {},
    inputs: sources?.inputs ?? [],
    locate: sources?.locate ?? (() => null),
  }
}

/** What Compose said, with its place where it is about a variable. */
function placed(warnings: readonly string[], { unset }: ComposeSources): readonly Problem[] {
  return warnings.map((text) => {
    const name = unsetVariable(text)
    const found = unset.find(({ message }) => name !== null && message.startsWith(`the variable ${name} `))
    return found ?? plainWarning(text)
  })
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
  if (outcome.exitCode !== 0) {
    throw (await explainFiles(context, profiles, composeMessage(outcome.stderr))) ?? new Error(outcome.stderr)
  }
  return { model: JSON.parse(outcome.stdout) as ComposeModel, stderr: outcome.stderr }
}

/** Compose's own words, without its log lines. */
export function composeMessage(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^time="[^"]*" level=/.test(line))
    .join('\n')
    .trim()
}
