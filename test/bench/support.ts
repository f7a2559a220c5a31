import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { get, request } from 'node:http'
import { arch, cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))
export const composeFile = join(root, 'compose/compose.yaml')
export const launcher = join(root, 'devstack')

/** The median, and the spread around it, in the unit of the samples. */
export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: readonly number[]
}

export function figure(samples: readonly number[]): Figure {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median =
    sorted.length % 2 === 0
      ? ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
      : (sorted[Math.floor(middle)] ?? 0)
  return { median, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0, samples }
}

/** A stack of its own: project name, ports and state that no other run shares. */
export interface Stack {
  readonly name: string
  readonly env: NodeJS.ProcessEnv
  readonly port: number
  /** Runs the launcher to its end. */
  devstack(...argv: readonly string[]): Promise<string>
  /** Runs plain Compose on the same files. */
  compose(...argv: readonly string[]): Promise<string>
  remove(): Promise<void>
}

export async function openStack(name: string, firstPort: number): Promise<Stack> {
  const state = await mkdtemp(join(tmpdir(), 'devstack-bench-'))
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...(await imageEnv()),
    CI: 'true',
    XDG_STATE_HOME: state,
    NGINX_PORT: String(firstPort),
    POSTGRES_PORT: String(firstPort + 1),
    ELASTICSEARCH_PORT: String(firstPort + 2),
    REDIS_PORT: String(firstPort + 3),
  }
  const options = { env, cwd: root, maxBuffer: 64 * 1024 * 1024 }
  const compose = async (...argv: readonly string[]): Promise<string> => {
    const { stdout } = await run('docker', ['compose', '-p', name, '-f', composeFile, ...argv], options)
    return stdout
  }
  return {
    name,
    env,
    port: firstPort,
    compose,
    devstack: async (...argv) => (await run(launcher, ['--project-name', name, ...argv], options)).stdout,
    remove: async () => {
      await compose('down', '--volumes', '--remove-orphans')
      await rm(state, { recursive: true, force: true })
    },
  }
}

/** The images that the tool chose on this machine: both sides run the same ones. */
async function imageEnv(): Promise<Record<string, string>> {
  const { stdout } = await run(launcher, ['images', '--json'], { cwd: root })
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly wanted: string; readonly ref: string })
  const chosen: Record<string, string> = {}
  for (const { wanted, ref } of rows) {
    const repository =
      wanted
        .replace(/:[^/]*$/, '')
        .split('/')
        .at(-1) ?? ''
    if (wanted !== ref && ref.startsWith('devstack/')) chosen[`${repository.toUpperCase()}_IMAGE`] = ref
  }
  return chosen
}

interface Listed {
  readonly Labels: Readonly<Record<string, string>>
  readonly State: string
  readonly Status: string
}

/** Milliseconds from `begin` until each service is healthy (migrate: ended with 0) and the API answers 200. */
export async function untilReady(stack: Stack, begin: number, services = 7): Promise<number> {
  const deadline = begin + 180_000
  for (;;) {
    const [containers, answers] = await Promise.all([list(stack.name), healthAnswers(stack.port)])
    const ready = containers.filter(
      ({ State, Status }) =>
        Status.includes('(healthy)') || (State === 'exited' && Status.startsWith('Exited (0)')),
    )
    if (ready.length >= services && answers) return performance.now() - begin
    if (performance.now() > deadline) throw new Error(`${stack.name} did not get ready`)
    // Not more often: the engine's list costs it several milliseconds, which either side would pay for.
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function list(project: string): Promise<readonly Listed[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`com.docker.compose.project=${project}`] }))
  return new Promise((resolve, reject) => {
    const question = request(
      { socketPath: '/var/run/docker.sock', path: `/containers/json?all=1&filters=${filters}` },
      (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
        response.on('end', () => resolve(JSON.parse(body) as readonly Listed[]))
      },
    )
    question.on('error', reject)
    question.end()
  })
}

function healthAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/api/health', timeout: 1000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}

/** Starts a program without waiting for it; its output goes nowhere. */
export function launch(argv: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const [program = '', ...rest] = argv
  return spawn(program, rest, { env, cwd: root, stdio: 'ignore' })
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  await new Promise((resolve) => child.once('exit', resolve))
}

/** Ends a stack's session; the containers stay. */
export async function endSession(stack: Stack): Promise<void> {
  const { session } = JSON.parse(await stack.devstack('status', '--json').catch(failedOutput)) as {
    readonly session: { readonly pid: number } | null
  }
  if (session === null) return
  process.kill(session.pid, 'SIGTERM')
  while (await lives(session.pid)) await new Promise((resolve) => setTimeout(resolve, 10))
}

function failedOutput(error: unknown): string {
  return (error as { readonly stdout: string }).stdout
}

async function lives(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => null)
  return stat !== null && !stat.includes(') Z ')
}

/** Prints a result and keeps it with what it was measured on. */
export async function report(
  name: string,
  figures: Readonly<Record<string, Figure | number>>,
): Promise<void> {
  for (const [label, value] of Object.entries(figures)) {
    const text =
      typeof value === 'number'
        ? value.toFixed(3)
        : `${value.median.toFixed(1)} (${value.min.toFixed(1)}-${value.max.toFixed(1)}, n=${String(value.samples.length)})`
    process.stdout.write(`${name}  ${label.padEnd(44)} ${text}\n`)
  }
  const { stdout: commit } = await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: root })
  const { stdout: engine } = await run('docker', ['version', '--format', '{{.Server.Version}}'])
  const system = `${process.platform} ${release()} ${arch()}, ${String(cpus().length)} x ${cpus()[0]?.model ?? ''}`
  const memoryGib = Math.round(totalmem() / 1024 ** 3)
  const folder = join(root, 'test/bench/output')
  await mkdir(folder, { recursive: true })
  const at = new Date().toISOString()
  const result = { name, at, commit: commit.trim(), system, memoryGib, engine: engine.trim(), figures }
  await writeFile(
    join(folder, `${name}-${at.replaceAll(':', '-')}.json`),
    `${JSON.stringify(result, null, 2)}\n`,
  )
}
