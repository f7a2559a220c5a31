import { DevstackError } from './error.js'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** The words that programs write for each level: syslog's, Python's, Elasticsearch's, Postgres's. */
const WORDS: readonly RegExp[] = [
  /\b(?:DEBUG|TRACE|VERBOSE)\b|\blevel=(?:debug|trace)\b|"level":\s*"(?:debug|trace)"/i,
  /$^/,
  /\bWARN(?:ING)?\b|\blevel=warn(?:ing)?\b|"level":\s*"warn(?:ing)?"|\[warn\]/i,
  /\b(?:ERROR|CRITICAL|FATAL|PANIC|EMERG|ALERT)\b|\blevel=(?:error|fatal)\b|"level":\s*"(?:error|fatal)"|Traceback \(most recent call last\)|Exception\b/i,
]

/**
 * `warn` -> 2.
 * @throws DevstackError USAGE
 */
export function parseLevel(name: string): number {
  const level = LEVELS.findIndex((candidate) => candidate === name.toLowerCase())
  if (level >= 0) return level
  throw new DevstackError('USAGE', `there is no level ${name}`, { hint: `--level ${LEVELS.join(', ')}` })
}

/** 0 debug, 1 info, 2 warn, 3 error; a line that names no level counts as info. */
export function levelOf(line: string): number {
  for (const level of [3, 2, 0]) {
    if (WORDS[level]?.test(line) === true) return level
  }
  return 1
}
