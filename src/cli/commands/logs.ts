import { DevstackError } from '../../core/error.js'
import { parseLevel, levelOf } from '../../core/log-level.js'
import type { LogRecord } from '../../orchestrator/ports.js'
import { checkNamesOfContainers } from '../check-names.js'
import type { CommandContext } from '../commands.js'
import { parseDuration } from '../duration.js'
import { createEngine } from '../engine.js'
import { openStack } from '../stack.js'

interface LogsOptions {
  readonly follow?: boolean
  readonly since?: string
  readonly tail?: string
  readonly grep?: string
  readonly invert?: boolean
  readonly level?: string
  readonly timestamps?: boolean
  readonly json?: boolean
}

/** `devstack logs`: the containers' lines from the engine, filtered. Works with and without a session. */
export async function logs(
  context: CommandContext,
  services: readonly string[],
  options: LogsOptions,
): Promise<number> {
  const { io, globals } = context
  const wanted = filterOf(options)
  const request = {
    services,
    follow: options.follow === true,
    since: options.since === undefined ? null : sinceOf(options.since, Date.now()),
    tail: options.tail === undefined ? null : countOf(options.tail),
  }
  const stack = await openStack(context)
  const engine = await createEngine(stack, io.env)
  await checkNamesOfContainers(engine, services, AbortSignal.timeout(60_000))
  const { createPainter } = await import('../paint-log.js')
  const paint = createPainter(globals.color && io.stdout.isTTY, options.timestamps === true)
  const controller = new AbortController()
  const stop = (): void => controller.abort(new DevstackError('CANCELLED', 'interrupted'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    for await (const record of engine.logs(request, controller.signal)) {
      if (!wanted(record)) continue
      const { service, instance, at, stream, text } = record
      const line =
        options.json === true ? JSON.stringify({ service, instance, at, stream, line: text }) : paint(record)
      if (!io.stdout.write(`${line}\n`)) await new Promise((resolve) => io.stdout.once('drain', resolve))
    }
    return 0
  } catch (error) {
    // The way to end `logs -f`: no failure.
    if (controller.signal.aborted) return 0
    throw error
  } finally {
    process.removeListener('SIGINT', stop)
    process.removeListener('SIGTERM', stop)
  }
}

function filterOf(options: LogsOptions): (record: LogRecord) => boolean {
  const pattern = options.grep === undefined ? null : patternOf(options.grep)
  const least = options.level === undefined ? null : parseLevel(options.level)
  return ({ text }) => {
    if (pattern !== null && pattern.test(text) === (options.invert === true)) return false
    return least === null || levelOf(text) >= least
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, 'u')
  } catch (error) {
    throw new DevstackError('USAGE', `${text} is no regular expression`, {
      cause: error instanceof Error ? error.message : null,
      hint: 'quote what is meant literally: \\[ \\( \\.',
    })
  }
}

/** Seconds since the epoch. */
function sinceOf(text: string, now: number): number {
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : now - parseDuration(text)
  if (Number.isNaN(time))
    throw new DevstackError('USAGE', `${text} is no time`, { hint: 'write 5m, 1h or 2026-01-31T12:00:00Z' })
  return time / 1000
}

function countOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new DevstackError('USAGE', `${text} is no number of lines`, { hint: '--tail 100' })
}
