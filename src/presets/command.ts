import { stageChain, type Instruction } from './dockerfile.js'

/** What an image starts, as far as its Dockerfile says. */
export interface ImageCommand {
  /** Null: that of the outside image which the stage is built from, if it has one. */
  readonly entrypoint: readonly string[] | null
  /** Null: as for the entrypoint. Empty: none. */
  readonly command: readonly string[] | null
}

const SHELL: readonly string[] = ['/bin/sh', '-c']

/**
 * ENTRYPOINT and CMD of a Dockerfile's stage (by default the last one); null where it names neither. Variables stay as
 * they are written, for Docker does not replace them there: in the shell form the container's shell does.
 */
export function commandOf(dockerfile: string, target: string | null): ImageCommand | null {
  let entrypoint: readonly string[] | null = null
  let command: readonly string[] | null = null
  let shell = SHELL
  for (const stage of stageChain(dockerfile, target)) {
    let ownCommand = false
    for (const { name, rest } of stage) {
      if (name === 'SHELL') shell = jsonWords(rest) ?? shell
      if (name === 'CMD') {
        command = words(rest, shell)
        ownCommand = true
      }
      if (name === 'ENTRYPOINT') {
        entrypoint = words(rest, shell)
        // What was inherited was meant for another entrypoint.
        if (!ownCommand) command = []
      }
    }
  }
  return entrypoint === null && command === null ? null : { entrypoint, command }
}

function words(rest: Instruction['rest'], shell: readonly string[]): readonly string[] {
  return jsonWords(rest) ?? (rest === '' ? [] : [...shell, rest])
}

/** The exec form; what is no JSON list of texts is the shell form, as in Docker. */
function jsonWords(rest: string): readonly string[] | null {
  try {
    const value: unknown = JSON.parse(rest)
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null
  } catch {
    return null
  }
}

/** Where the reloader is in a container of a Flask service. */
export const FLASK_FOLDER = '/.devstack/flask'

/**
 * What a container runs in place of `original` (entrypoint and command together), so that its preset can reload it; null
 * where it is left as it is.
 */
export function wrapCommand(
  preset: string,
  original: readonly string[],
  python = 'python3',
): readonly string[] | null {
  if (preset !== 'flask' || original.length === 0) return null
  return [python, '-B', `${FLASK_FOLDER}/run.py`, '--', ...original]
}
