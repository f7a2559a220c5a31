import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'

/** How a child process ended. */
export interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The program that is Compose, and the environment its children get. */
export interface Command {
  /** Program and first arguments. */
  readonly compose: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** A short reading call. Resolves whatever the exit code; rejects where the program is missing or on abort. */
  read(argv: readonly string[], cwd: string, signal: AbortSignal): Promise<Outcome>
}

const PLUGIN_FOLDERS: readonly string[] = [
  '/usr/local/lib/docker/cli-plugins',
  '/usr/local/libexec/docker/cli-plugins',
  '/usr/lib/docker/cli-plugins',
  '/usr/libexec/docker/cli-plugins',
]

/**
 * Compose itself where its plugin is found, which saves the 50 ms that the `docker` program takes to find and ask all
 * its plugins first; otherwise `docker compose`.
 */
export function findCompose(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const config = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker')
  for (const folder of [join(config, 'cli-plugins'), ...PLUGIN_FOLDERS]) {
    const file = join(folder, 'docker-compose')
    try {
      accessSync(file, constants.X_OK)
      return [file]
    } catch {
      // the next folder
    }
  }
  return ['docker', 'compose']
}

/** `endpoint` goes to every child, so that none talks to another engine. */
export function createCommand(
  compose: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  endpoint: string,
): Command {
  const defined = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  // Files, name and profiles are always given; colours and menus would only have to be taken out again.
  const given: ReadonlySet<string> = new Set(['COMPOSE_FILE', 'COMPOSE_PROJECT_NAME', 'DOCKER_CONTEXT'])
  const childEnv = {
    ...Object.fromEntries(defined.filter(([name]) => !given.has(name))),
    DOCKER_HOST: endpoint,
    COMPOSE_ANSI: 'never',
    COMPOSE_MENU: 'false',
    COMPOSE_STATUS_STDOUT: 'false',
  }
  return { compose, env: childEnv, read: (argv, cwd, signal) => read(argv, cwd, childEnv, signal) }
}

// execFile and not execa: loading and first use of the latter is a third of what a run with nothing to do may take.
function read(
  argv: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Outcome> {
  const [program = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const options = { cwd, env, signal, maxBuffer: 256 * 1024 * 1024 }
    execFile(program, args, options, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason as Error)
      else if (error === null) resolve({ exitCode: 0, stdout, stderr })
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr })
      else if (error.code === 'ENOENT') reject(notInstalled(program))
      else resolve({ exitCode: null, stdout, stderr: `${stderr}${error.message}` })
    })
  })
}

/** The program is missing. */
export function notInstalled(program: string): DevstackError {
  return new DevstackError('ENGINE_NOT_INSTALLED', 'Docker Compose is not installed', {
    cause: `the program ${program} is not there`,
    hint: 'devstack bootstrap',
  })
}
