import type { Check, Remedy } from '../../host/doctor/check.js'
import { runDoctor, type DoctorReport } from '../../host/doctor/doctor.js'
import { formatDoctor, formatPaste } from '../../host/doctor/format.js'
import { run } from '../../host/bootstrap/command.js'
import { DevstackError } from '../../core/error.js'
import type { StackState } from '../../core/state.js'
import type { CommandContext } from '../commands.js'
import { confirm, print, printError, printJson } from '../io.js'
import { readState } from '../read-state.js'
import { imageEngine, openStack } from '../stack.js'
import { version } from '../version.js'

interface DoctorFlags {
  readonly fix?: boolean
  readonly paste?: boolean
  readonly json?: boolean
}

/** `devstack doctor`: exit 3 where a check fails, after what `--fix` could mend. */
export async function doctor(context: CommandContext, flags: DoctorFlags): Promise<number> {
  const { io } = context
  let report = await examine(context)
  if (flags.fix === true && (await mend(context, report))) report = await examine(context)
  if (flags.json === true) printJson(io, report)
  else if (flags.paste === true) print(io, formatPaste(report))
  else print(io, formatDoctor(report, { all: context.globals.verbose }))
  return report.summary.fail > 0 ? 3 : 0
}

async function examine(context: CommandContext): Promise<DoctorReport> {
  const { io } = context
  const { state, engine } = await readStack(context)
  const ports = Object.values(state?.services ?? {}).flatMap((service) =>
    service.ports.map(({ hostIp, port }) => ({ service: service.name, hostIp, port })),
  )
  const runs = Object.values(state?.services ?? {}).some(
    (service) => Object.keys(service.instances).length > 0,
  )
  return runDoctor({
    env: io.env,
    signal: AbortSignal.timeout(120_000),
    version,
    ports,
    cluster: engine === 'kind',
    stackIsUp: runs,
    probeRegistry: async (signal) => {
      const { createRegistryProbe } = await import('../../engines/images/registry.js')
      return createRegistryProbe(await imageEngine(io.env))('postgres:17', signal)
    },
    probeImage: null,
  })
}

/** Doctor works outside of a project, and where the engine does not answer: then no ports are judged. */
async function readStack(
  context: CommandContext,
): Promise<{ readonly state: StackState | null; readonly engine: string | undefined }> {
  let engine: string | undefined = context.globals.engine ?? undefined
  try {
    const stack = await openStack(context)
    engine = stack.engine
    return { state: (await readState(stack, context.io.env)).state, engine }
  } catch (error) {
    if (error instanceof DevstackError) return { state: null, engine }
    throw error
  }
}

/** Offers each remedy's commands one by one. True where one was run. */
async function mend(context: CommandContext, report: DoctorReport): Promise<boolean> {
  let ran = false
  for (const check of report.checks) {
    if (check.status === 'pass' || check.fix === undefined) continue
    for (const argv of check.fix.commands) ran = (await offer(context, check, check.fix, argv)) || ran
  }
  return ran
}

async function offer(
  context: CommandContext,
  check: Check,
  fix: Remedy,
  argv: readonly string[],
): Promise<boolean> {
  const { io, globals } = context
  printError(io, `${check.name}: ${check.message}\n  ${fix.text}`)
  const consent = await confirm(io, `  run: ${argv.join(' ')}`, globals)
  if (consent === null)
    throw new DevstackError(
      'CONSENT_NEEDED',
      'doctor --fix asks before each command, and there is no terminal to ask on',
      {
        hint: 'devstack doctor --fix --yes',
      },
    )
  if (!consent) return false
  const own = argv[0] === 'devstack' ? [process.execPath, process.argv[1] ?? '', ...argv.slice(1)] : argv
  const result = await run(own, { env: io.env })
  for (const line of result.lastLines) printError(io, `    ${line}`)
  if (!result.ok) printError(io, `  it failed: ${argv.join(' ')}`)
  return true
}
