import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { DevstackError } from '../core/error.js'
import type { BootstrapEvent, BootstrapResult } from '../host/bootstrap/bootstrap.js'
import { which } from '../host/bootstrap/command.js'
import { engineEndpoint, pingEngine, requireLocal } from '../host/bootstrap/endpoint.js'
import type { Check } from '../host/doctor/check.js'
import { ensurePrivateFolder, readPrivateFile, stateRoot, writePrivateFile } from '../host/project/state.js'
import type { CommandContext } from './commands.js'
import { printError } from './io.js'
import { imageEngine } from './stack.js'
import { version } from './version.js'

/** What was found out when the machine was last looked at. */
interface MachineStamp {
  /** The engine's version then: another one is looked at again. */
  readonly engine: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly registryAnswers: boolean
}

const STAMP_FILE = 'machine.json'
const STAMP_LASTS_MS = 12 * 3_600_000

/**
 * Sees that an engine answers before a session is started, and brings what lacks. Costs one question where nothing lacks.
 * Null: go on. A number: the command ran in another process, and this is its exit code.
 * @throws DevstackError CONSENT_NEEDED, MACHINE_UNSUPPORTED, ENGINE_*
 */
export async function prepareMachine(context: CommandContext): Promise<number | null> {
  const { env } = context.io
  const endpoint = await engineEndpoint(env)
  requireLocal(endpoint)
  const answer = await pingEngine(endpoint, env)
  if (answer.state === 'running') {
    const stamp = await readStamp(env)
    const fresh = stamp !== null && stamp.engine === answer.version && Date.now() - stamp.at < STAMP_LASTS_MS
    if (fresh && (stamp.registryAnswers || (await which('mmdebstrap', env)) !== null)) return null
    const lacks = await blockingFailures(context)
    const disk = lacks.find((check) => check.name === 'disk')
    if (disk !== undefined) {
      const hint = `${disk.fix?.text ?? 'make room'}; devstack doctor looks again`
      throw new DevstackError('DISK_FULL', 'the disk is nearly full', { cause: disk.message, hint })
    }
    if (lacks.length === 0) {
      const registry = await registryAnswers(env)
      if (registry || (await which('mmdebstrap', env)) !== null) {
        await writeStamp(env, { engine: answer.version, at: Date.now(), registryAnswers: registry })
        return null
      }
    }
  }
  const result = await bringWhatLacks(context)
  return result.needsGroup ? runAgainInGroup() : null
}

/** What `up` cannot do without and does not find, as doctor sees it. */
async function blockingFailures({ io }: CommandContext): Promise<readonly Check[]> {
  const { runDoctor } = await import('../host/doctor/doctor.js')
  const report = await runDoctor({
    env: io.env,
    signal: AbortSignal.timeout(30_000),
    version,
    ports: [],
    stackIsUp: true,
    probeRegistry: null,
    probeImage: null,
    blockingOnly: true,
  })
  return report.checks.filter((check) => check.status === 'fail')
}

/** What was done, and whether this machine builds its images itself. */
export interface Brought extends BootstrapResult {
  readonly localImages: boolean
}

/** Every step of `devstack bootstrap`. The engine comes first: it tells whether a registry answers. */
export async function bringWhatLacks(context: CommandContext, needsCluster = false): Promise<Brought> {
  const { bootstrap, formatBootstrapEvent } = await import('../host/bootstrap/bootstrap.js')
  const { io, globals } = context
  const controller = new AbortController()
  const stop = (): void => controller.abort(new DevstackError('CANCELLED', 'interrupted'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const options = {
    yes: globals.yes,
    isTty: io.stdin.isTTY && io.stderr.isTTY,
    ask: async (question: string) => ask(io, question),
    env: io.env,
    signal: controller.signal,
    stateDir: stateRoot(io.env),
    emit: (event: BootstrapEvent) => {
      const line = formatBootstrapEvent(event)
      if (line !== null) printError(io, line)
    },
  }
  try {
    const result = await bootstrap({ ...options, needsCluster })
    if (result.needsGroup || (await registryAnswers(io.env))) return { ...result, localImages: false }
    const more = await bootstrap({ ...options, needsLocalImages: true })
    return { ...more, steps: mergeSteps(result.steps, more.steps), localImages: true }
  } finally {
    process.removeListener('SIGINT', stop)
    process.removeListener('SIGTERM', stop)
  }
}

/** The second round finds the first one's steps done: each is told once. */
function mergeSteps(
  first: BootstrapResult['steps'],
  second: BootstrapResult['steps'],
): BootstrapResult['steps'] {
  const known = new Set(first.map(({ step }) => step))
  return [...first, ...second.filter(({ step }) => !known.has(step))]
}

type Environment = Readonly<Record<string, string | undefined>>

async function readStamp(env: Environment): Promise<MachineStamp | null> {
  const text = await readPrivateFile(join(stateRoot(env), STAMP_FILE)).catch(() => null)
  return text === null ? null : (JSON.parse(text) as MachineStamp)
}

async function writeStamp(env: Environment, stamp: MachineStamp): Promise<void> {
  await ensurePrivateFolder(stateRoot(env))
  await writePrivateFile(join(stateRoot(env), STAMP_FILE), JSON.stringify(stamp))
}

async function registryAnswers(env: Environment): Promise<boolean> {
  const { createRegistryProbe } = await import('../engines/images/registry.js')
  const probe = createRegistryProbe(await imageEngine(env))
  const { answers } = await probe('postgres:17', AbortSignal.timeout(10_000))
  return answers
}

async function ask(io: CommandContext['io'], question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: io.stdin, output: io.stderr })
  try {
    const answer = await terminal.question(`${question} [Y/n] `)
    return /^(y(es)?)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

/** This login is not yet in the docker group: the same command line goes on in a shell that is. */
async function runAgainInGroup(): Promise<number> {
  const { throughGroup } = await import('../host/bootstrap/bootstrap.js')
  const [program = 'sg', ...argv] = throughGroup([process.execPath, ...process.argv.slice(1)])
  const child = spawn(program, argv, { stdio: 'inherit' })
  return new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (status) => resolve(status ?? 1))
  })
}
