/** The nginx that runs in a container. */
export interface NginxProcesses {
  /** How the master was started; null where none was found. */
  readonly master: NginxCommand | null
  /** Pids of workers that take connections. */
  readonly workers: readonly number[]
}

export interface NginxCommand {
  readonly program: string
  /** Those of its options that say which configuration is meant: `-c`, `-p`, `-e`, `-g`. */
  readonly options: readonly string[]
}

/**
 * Prints the titles of nginx's processes, one a line. No shell, and only what both Debian's images and Alpine's have: the
 * pattern of paths is find's own.
 */
export const LIST_PROCESSES: readonly string[] = [
  'find',
  '/proc',
  '-maxdepth',
  '2',
  '-path',
  '/proc/[0-9]*/cmdline',
  '-exec',
  'grep',
  '-aH',
  'nginx:',
  '{}',
  '+',
]

/** Reads what {@link LIST_PROCESSES} printed. */
export function processesIn(lines: readonly string[]): NginxProcesses {
  let master: NginxCommand | null = null
  const workers: number[] = []
  for (const line of lines) {
    const [, pid = '', kind, rest = ''] =
      /^\/proc\/(\d+)\/cmdline:nginx: (master|worker) process([^\0]*)/.exec(line) ?? []
    if (kind === 'master') master ??= commandOf(rest.trim())
    // `worker process is shutting down` answers what it has begun and takes nothing new.
    if (kind === 'worker' && rest.trim() === '') workers.push(Number(pid))
  }
  return { master, workers }
}

/** A process title has its words put together with spaces: an option's value goes on to the next option. */
function commandOf(title: string): NginxCommand {
  const [program = 'nginx', ...words] = title.split(/\s+/)
  const options: string[][] = []
  for (const word of words) {
    const [, flag, glued = ''] = /^-([a-zA-Z])(.*)$/.exec(word) ?? []
    const last = options.at(-1)
    if (flag !== undefined) options.push([`-${flag}`, ...(glued === '' ? [] : [glued])])
    else last?.push(word)
  }
  return {
    program,
    options: options.flatMap(([flag = '', ...value]) =>
      ['-c', '-p', '-e', '-g'].includes(flag) ? [flag, value.join(' ')] : [],
    ),
  }
}
