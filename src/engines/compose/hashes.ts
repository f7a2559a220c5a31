import { DevstackError } from '../../core/error.js'
import type { ResolveRequest } from '../../orchestrator/ports.js'
import { overrideFile, projectArguments } from './arguments.js'
import type { Outcome } from './command.js'
import type { EngineContext } from './options.js'
import { writeIfChanged } from './state.js'

/** Writes the override file where it changes, and gives the hashes that Compose computes with it. */
export async function finishHashes(
  context: EngineContext,
  wanted: {
    readonly text: string
    readonly before: string | null
    readonly profiles: readonly string[]
    readonly purpose: ResolveRequest['purpose']
  },
  early: (() => Promise<Outcome>) | null,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  if (wanted.purpose === 'look') {
    // Nothing is created, so nothing is written: what would be created is only known as far as the last `up` went.
    const outcome = await early?.()
    return outcome?.exitCode === 0 ? parseHashes(outcome) : {}
  }
  const changed = await writeIfChanged(overrideFile(context), wanted.text, wanted.before)
  const outcome =
    early === null || changed ? await readHashes(context, wanted.profiles, signal) : await early()
  return parseHashes(outcome)
}

/** By service: the hash that Compose computes of its configuration. */
export async function readHashes(
  context: EngineContext,
  profiles: readonly string[],
  signal: AbortSignal,
): Promise<Outcome> {
  const argv = [...projectArguments(context, profiles, []), 'config', '--hash', '*']
  return await context.command.read(argv, context.options.folder, signal)
}

function parseHashes({ exitCode, stdout, stderr }: Outcome): Readonly<Record<string, string>> {
  if (exitCode !== 0) {
    throw new DevstackError('CONFIG_INVALID', 'Compose does not take the generated override file', {
      cause: stderr.trim(),
      hint: 'devstack needs Compose 2.24 or newer: devstack doctor',
    })
  }
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .filter((words) => words.length === 2),
  )
}
