import { constants } from 'node:os'
import { DevstackError } from '../../core/error.js'
import { checkNames } from '../check-names.js'
import type { CommandContext } from '../commands.js'
import { createEngine } from '../engine.js'
import { openStack } from '../stack.js'

interface ExecOptions {
  readonly user?: string
  readonly workdir?: string
  readonly env?: readonly string[]
  readonly tty: boolean
}

/** `devstack exec`: runs a command in a running container; its exit code passes through. */
export async function exec(
  context: CommandContext,
  service: string,
  argv: readonly string[],
  options: ExecOptions,
): Promise<number> {
  if (argv.length === 0)
    throw new DevstackError('USAGE', 'no command given', {
      hint: `devstack exec ${service} -- COMMAND [ARGUMENT ...]`,
    })
  const { io } = context
  const stack = await openStack(context)
  const engine = await createEngine(stack, io.env)
  const terminal = io.stdin.isTTY && io.stdout.isTTY
  const request = {
    service,
    argv,
    tty: terminal && options.tty,
    interactive: true,
    user: options.user ?? null,
    workdir: options.workdir ?? null,
    env: parseEnvironment(options.env ?? []),
  }
  try {
    return await withoutInterrupts((signal) => engine.exec(request, signal))
  } catch (error) {
    // What does not run may not be there at all: asked only then, since it takes longer than most commands.
    if (error instanceof DevstackError && error.code === 'SERVICE_FAILED')
      await checkNames(engine, [service], AbortSignal.timeout(60_000))
    throw error
  }
}

/** `devstack shell`: bash where the image has it, else sh. */
export async function shell(context: CommandContext, service: string): Promise<number> {
  const script = 'if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi'
  return exec(context, service, ['sh', '-c', script], { tty: true })
}

/** Ctrl-C belongs to the command in the container, which the terminal delivers it to. TERM ends the call. */
async function withoutInterrupts(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController()
  const ignore = (): void => undefined
  const end = (): void => controller.abort(new DevstackError('CANCELLED', 'terminated'))
  process.on('SIGINT', ignore)
  process.once('SIGTERM', end)
  try {
    return await work(controller.signal)
  } catch (error) {
    if (controller.signal.aborted) return 128 + constants.signals.SIGTERM
    throw error
  } finally {
    process.removeListener('SIGINT', ignore)
    process.removeListener('SIGTERM', end)
  }
}

function parseEnvironment(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const end = pair.indexOf('=')
      if (end < 1) throw new DevstackError('USAGE', `${pair} sets no variable`, { hint: '--env NAME=value' })
      return [pair.slice(0, end), pair.slice(end + 1)]
    }),
  )
}
