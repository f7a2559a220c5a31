import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import type { AttachContext, DeliveredFiles, LivePreset, TakeUpResult } from '../../orchestrator/ports.js'
import { oneAtATime } from '../take-up.js'
import { LIST_PROCESSES, processesIn, type NginxCommand, type NginxProcesses } from './processes.js'

/** For nginx to come up, and for its workers to be replaced. */
const PATIENCE_MS = 15_000
const PAUSE_MS = 20

/** Read by the official image's start script alone, which makes configuration of them. */
const TEMPLATES = /^\/etc\/nginx\/templates\//

/** nginx, reloaded by its own means: tested first, so that the old configuration serves on where the new one is bad. */
export const nginxLive: LivePreset = {
  support: () => Promise.resolve([]),
  async attach(context, signal) {
    const life = new AbortController()
    const found = await untilRunning(context, signal)
    let master = found?.master ?? null
    return {
      server: found === null ? null : { name: 'nginx', reason: null },
      first:
        found === null
          ? { type: 'unproven', reason: 'no master process of nginx was found in the container' }
          : { type: 'taken', what: 'start', detail: workersOf(found) },
      takeUp: oneAtATime(async (files, signal) => {
        master ??= (await processes(context, signal)).master
        return takeUp(context, master, files, signal)
      }, life.signal),
      close: () => life.abort(new DevstackError('CANCELLED', 'nginx is not watched any more')),
    }
  },
  offer: () => null,
}

async function takeUp(
  context: AttachContext,
  master: NginxCommand | null,
  files: DeliveredFiles,
  signal: AbortSignal,
): Promise<TakeUpResult> {
  const template = [...files.written, ...files.deleted].find((path) => TEMPLATES.test(path))
  if (template !== undefined)
    return { type: 'restart', reason: `${template} is read when the container starts` }
  if (master === null) return { type: 'restart', reason: 'no master process of nginx was found' }
  // Each start of a program in a container takes its time, so both at once.
  const [before, test] = await Promise.all([
    processes(context, signal),
    run(context, [...command(master), '-t'], signal),
  ])
  if (test.exitCode !== 0) return testFailure(test.lines)
  const reload = await run(context, [...command(master), '-s', 'reload'], signal)
  if (reload.exitCode !== 0) {
    // The old master cannot be reached by what the new configuration says: its pid file is elsewhere.
    return { type: 'restart', reason: reload.lines.at(-1) ?? 'nginx -s reload failed' }
  }
  const after = await untilReplaced(context, before, signal)
  if (after !== null) return { type: 'taken', what: 'configuration', detail: workersOf(after) }
  return {
    type: 'failed',
    message: 'nginx keeps its old workers: its log says why',
    place: null,
    output: test.lines,
  }
}

function command({ program, options }: NginxCommand): readonly string[] {
  return [program, ...options]
}

function workersOf({ workers }: NginxProcesses): string {
  return `${String(workers.length)} worker${workers.length === 1 ? '' : 's'}`
}

/**
 * `nginx: [emerg] unknown directive "serve" in /etc/nginx/shop/api.conf:12`. Once the configuration names a log on stderr
 * the same is there a second time, with time and pid in front.
 */
function testFailure(lines: readonly string[]): TakeUpResult {
  const serious = lines.find((line) => SERIOUS.test(line)) ?? lines.at(-1) ?? 'nginx -t failed'
  const text = serious.replace(SERIOUS, '')
  const [, message, file, line] = /^(.*) in (\/.+):(\d+)$/.exec(text) ?? []
  return {
    type: 'failed',
    message: message ?? text,
    place: file === undefined ? null : { file, line: Number(line), column: null },
    output: lines,
  }
}

const SERIOUS = /^(?:nginx: |[\d/]+ [\d:]+ )\[(?:emerg|alert|crit|error)\] (?:\d+#\d+: )?/

async function untilRunning(context: AttachContext, signal: AbortSignal): Promise<NginxProcesses | null> {
  return until(context, ({ master, workers }) => master !== null && workers.length > 0, signal)
}

/** No worker of before takes connections any more, and new ones do. */
async function untilReplaced(
  context: AttachContext,
  before: NginxProcesses,
  signal: AbortSignal,
): Promise<NginxProcesses | null> {
  return until(
    context,
    ({ workers }) => workers.length > 0 && !workers.some((pid) => before.workers.includes(pid)),
    signal,
  )
}

async function until(
  context: AttachContext,
  reached: (found: NginxProcesses) => boolean,
  signal: AbortSignal,
): Promise<NginxProcesses | null> {
  const deadline = performance.now() + PATIENCE_MS
  do {
    const found = await processes(context, signal)
    if (reached(found)) return found
    await sleep(PAUSE_MS, undefined, { signal })
  } while (performance.now() < deadline)
  return null
}

async function processes(context: AttachContext, signal: AbortSignal): Promise<NginxProcesses> {
  // Its exit code says only that some process ended while it was looked at.
  return processesIn((await run(context, LIST_PROCESSES, signal)).lines)
}

async function run(
  { engine, instance }: AttachContext,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly lines: readonly string[] }> {
  const lines: string[] = []
  const request = { argv, user: null, workdir: null, env: {} }
  const exitCode = await engine.run(instance, request, (line) => lines.push(line), signal)
  return { exitCode, lines }
}
