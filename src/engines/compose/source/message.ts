import type { SourcePosition } from '../../../core/error.js'
import { KINDS } from './types.js'
import type { LoadedSources, SourceProblem } from './types.js'

/** Compose's own words about what the check of our own does not know: located as far as they tell. */
export function fromComposeMessage(
  message: string,
  loaded: LoadedSources,
  locate: (path: readonly (string | number)[]) => SourcePosition | null,
): SourceProblem {
  const line = message.trim()
  return {
    message: line,
    at: lineIn(line, loaded) ?? locate(pathIn(line, loaded)),
    hint: null,
    stage: 'config',
  }
}

/** `yaml: line 7: ...`: it is not said in which file, so only a lone one can be meant. */
function lineIn(message: string, loaded: LoadedSources): SourcePosition | null {
  const line = /\bline (\d+):/.exec(message)?.[1]
  const files = new Set(loaded.documents.map(({ source }) => source.file))
  const [file] = files
  return line === undefined || file === undefined || files.size > 1
    ? null
    : { file, line: Number(line), column: 1 }
}

/** `services.api.ports[0]`, `services[api].mem_limit`, `service "api"`. */
function pathIn(message: string, loaded: LoadedSources): readonly (string | number)[] {
  const dotted = new RegExp(
    String.raw`\b(services|${KINDS.join('|')}|include|name|version)((?:\.[^\s.:'"\]]+|\[[^\]\s]+\])*)`,
  ).exec(message)
  const more = /Additional property (\S+) is not allowed/.exec(message)?.[1]
  if (dotted !== null && (dotted[2] !== '' || more !== undefined)) {
    const parts = [...(dotted[2] ?? '').matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)].map(
      (part) => part[1] ?? part[2] ?? '',
    )
    const keys = parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part))
    return [dotted[1] ?? '', ...keys, ...(more === undefined ? [] : [more])]
  }
  if (more !== undefined) return [more]
  const quoted = /services? "?([A-Za-z0-9._-]+)"?/.exec(message)?.[1]
  return quoted !== undefined && loaded.services.has(quoted) ? ['services', quoted] : []
}
