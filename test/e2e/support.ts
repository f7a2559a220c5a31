import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const root = fileURLToPath(new URL('../..', import.meta.url))
/** DEVSTACK_PROGRAM: another one to put to the test, such as an installed package. */
export const launcher = process.env['DEVSTACK_PROGRAM'] ?? join(root, 'devstack')

/** How a command line ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Both, as a terminal would show them. */
  readonly all: string
  readonly seconds: number
}

/** A command line that runs. */
export interface Running {
  readonly pid: number
  /** What it printed so far. */
  all(): string
  kill(signal: NodeJS.Signals): void
  /** Resolves once its output matches; rejects where it ends before. */
  prints(pattern: RegExp, timeoutMs?: number): Promise<void>
  readonly ended: Promise<Ended>
}

/** A folder with a compose file of its own, and a devstack that keeps its state apart from everybody's. */
export interface Place extends AsyncDisposable {
  readonly folder: string
  /** The Compose project name: the folder's. */
  readonly name: string
  readonly env: NodeJS.ProcessEnv
  write(path: string, text: string): Promise<void>
  read(path: string): Promise<string>
  devstack(argv: readonly string[], options?: RunOptions): Promise<Ended>
  start(argv: readonly string[], options?: RunOptions): Running
  /** What the engine has of this project. */
  containers(): Promise<readonly Container[]>
  /** Names of containers, networks and volumes of this project. */
  things(): Promise<readonly string[]>
  sessionPid(): Promise<number | null>
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly stdin?: string
}

export interface Container {
  readonly id: string
  readonly service: string
  readonly state: string
  readonly status: string
}

export interface PlaceOptions {
  /** Shared by two places of one user. */
  readonly state?: string
  /** The folder's name within a temporary folder. */
  readonly name?: string
  /** A folder to copy, instead of writing files. */
  readonly copies?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

export async function makePlace(
  files: Readonly<Record<string, string>>,
  options: PlaceOptions = {},
): Promise<Place> {
  const parent = await realpath(await mkdtemp(join(tmpdir(), 'devstack-e2e-')))
  const name = options.name ?? `dse2e-${randomBytes(4).toString('hex')}`
  const folder = join(parent, name)
  const state = options.state ?? join(parent, 'state')
  await mkdir(folder)
  for (const path of options.copies ?? [])
    await cp(join(root, path), join(folder, path), {
      recursive: true,
      filter: (file) => !/node_modules|\.env$/.test(file),
    })
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  for (const [path, text] of Object.entries(files)) await write(path, text)
  const env = { ...process.env, XDG_STATE_HOME: state, CI: 'true', NO_COLOR: '1', ...options.env }
  const start = (
    argv: readonly string[],
    { cwd = folder, env: more = {}, stdin }: RunOptions = {},
  ): Running => startProgram([launcher, ...argv], cwd, { ...env, ...more }, stdin)
  const place: Place = {
    folder,
    name,
    env,
    write,
    read: (path) => readFile(join(folder, path), 'utf8'),
    start,
    devstack: (argv, more) => start(argv, more).ended,
    containers: () => containersOf(name),
    things: () => thingsOf(name),
    async sessionPid() {
      const { stdout } = await place.devstack(['status', '--json'])
      const { session } = JSON.parse(stdout) as { readonly session: { readonly pid: number } | null }
      return session?.pid ?? null
    },
    async [Symbol.asyncDispose]() {
      // A second worktree has another name than its folder.
      const { stdout } = await place.devstack(['status', '--json'])
      await place.devstack(['down', '--volumes', '--yes'])
      const project = projectOf(stdout) ?? name
      await removeImages(project)
      // In a state that is not this place's alone, such as the user's, nothing of it stays.
      for (const entry of await readdir(join(state, 'devstack')).catch(() => []))
        if (entry.startsWith(`${project}-`))
          await rm(join(state, 'devstack', entry), { recursive: true, force: true })
      await rm(parent, { recursive: true, force: true })
    },
  }
  return place
}

function projectOf(status: string): string | null {
  try {
    return (JSON.parse(status) as { readonly project?: string }).project ?? null
  } catch {
    return null
  }
}

function startProgram(
  argv: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  stdin: string | undefined,
): Running {
  const [program = '', ...rest] = argv
  const begin = performance.now()
  const child = spawn(program, rest, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(stdin)
  const out: string[] = []
  const err: string[] = []
  const all: string[] = []
  const listeners = new Set<() => void>()
  const take = (into: string[]) => (chunk: string) => {
    into.push(chunk)
    all.push(chunk)
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding('utf8').on('data', take(out))
  child.stderr.setEncoding('utf8').on('data', take(err))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout: out.join(''),
        stderr: err.join(''),
        all: all.join(''),
        seconds: (performance.now() - begin) / 1000,
      }),
    )
  })
  return {
    pid: child.pid ?? 0,
    all: () => all.join(''),
    kill: (signal) => child.kill(signal),
    ended,
    prints: (pattern, timeoutMs = 60_000) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!pattern.test(all.join(''))) return
          listeners.delete(check)
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(
          () => reject(new Error(`${argv.join(' ')} does not print ${String(pattern)}:\n${all.join('')}`)),
          timeoutMs,
        )
        listeners.add(check)
        void ended.then(() => {
          clearTimeout(timer)
          if (!pattern.test(all.join('')))
            reject(new Error(`${argv.join(' ')} ended without ${String(pattern)}:\n${all.join('')}`))
        })
        check()
      }),
  }
}

export async function docker(...argv: readonly string[]): Promise<string> {
  const { stdout } = await run('docker', [...argv], { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

async function containersOf(project: string): Promise<readonly Container[]> {
  const format = '{{.ID}}\t{{.Label "com.docker.compose.service"}}\t{{.State}}\t{{.Status}}'
  const label = `label=com.docker.compose.project=${project}`
  const text = await docker('ps', '--all', '--no-trunc', '--filter', label, '--format', format)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id = '', service = '', state = '', status = ''] = line.split('\t')
      return { id, service, state, status }
    })
    .toSorted((a, b) => a.service.localeCompare(b.service))
}

async function thingsOf(project: string): Promise<readonly string[]> {
  const filter = ['--filter', `label=com.docker.compose.project=${project}`]
  const found = await Promise.all([
    docker('ps', '--all', ...filter, '--format', '{{.Names}}'),
    docker('network', 'ls', ...filter, '--format', '{{.Name}}'),
    docker('volume', 'ls', ...filter, '--format', '{{.Name}}'),
  ])
  return found.flatMap((text) => text.split('\n').filter((line) => line !== ''))
}

async function removeImages(project: string): Promise<void> {
  const text = await docker('images', '--filter', `label=com.docker.compose.project=${project}`, '--quiet')
  const ids = [...new Set(text.split('\n').filter((line) => line !== ''))]
  if (ids.length > 0) await docker('rmi', '--force', ...ids)
}

/** Listens on a port of this process; `await using` frees it. */
export async function takePort(host: string, port = 0): Promise<{ readonly port: number } & AsyncDisposable> {
  const server: Server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port of 127.0.0.1 that nobody holds. */
export async function freePort(): Promise<number> {
  await using taken = await takePort('127.0.0.1')
  return taken.port
}

/** A service that does nothing, healthy at once; of the one image that needs no registry. */
export function idle(more = ''): string {
  return `
    image: debian:trixie
    init: true
    command: [sleep, infinity]
    stop_grace_period: 1s
    healthcheck: { test: [CMD, 'true'], interval: 5s, start_interval: 100ms, start_period: 30s }${more}`
}
