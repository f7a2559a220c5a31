import { DevstackError } from '../../core/error.js'
import type { WatchCommand } from '../../core/project.js'
import type { DeliveredFiles, TakeUpResult } from '../ports.js'
import { bringBack } from './bring-back.js'
import { hostPathOf, type DueCommand } from './changes.js'
import type { LiveInstance } from './live-instance.js'
import type { ServiceLive } from './service-live.js'

/** Lines of a command's output that are kept. */
const OUTPUT_KEPT = 40

/** What comes after the bytes are there: commands, and the processes that have to take them up. */
export interface TakeUp {
  /** Attaches to an instance that was started; its reloader tells when it answers. */
  attach(live: LiveInstance): void
  /** Does what is due next; false where nothing is. */
  next(): Promise<boolean>
}

export function createTakeUp(owner: ServiceLive): TakeUp {
  return {
    attach(live) {
      const { preset } = owner
      if (preset === null) return
      const controller = new AbortController()
      live.attaching = controller
      void attach(owner, live, controller)
    },
    async next() {
      for (const live of owner.instances.values()) {
        if (!live.running) continue
        const [due] = live.due
        if (due !== undefined) {
          const [key, command] = due
          live.due.delete(key)
          await runCommand(owner, live, key, command)
          return true
        }
        if (live.refresh && !live.hasUntaken && live.reloader !== null) {
          live.refresh = false
          const result = await tellProcesses(owner, live, { written: [], deleted: [] })
          if (result.type === 'failed') settle(owner, live, result)
          return true
        }
        if (!live.hasUntaken) continue
        if (owner.preset === null) {
          // Nobody has to be told: the rule asks for the bytes alone.
          live.take()
          return true
        }
        if (live.reloader === null) continue
        await takeUp(owner, live)
        return true
      }
      return false
    },
  }
}

async function attach(owner: ServiceLive, live: LiveInstance, controller: AbortController): Promise<void> {
  const { preset, options, service } = owner
  const signal = AbortSignal.any([controller.signal, owner.signal])
  try {
    const { engine } = options
    const { instance } = live
    const changed = (result: TakeUpResult): void => {
      if (live.attaching === controller) settle(owner, live, result)
    }
    const reloader = await preset?.attach({ engine, service, instance, changed }, signal)
    if (reloader === undefined) return
    if (signal.aborted) return reloader.close()
    // Of one that ran already its greeting says nothing about what was delivered to it before: that is asked for.
    const earlier = live.joined ? await reloader.takeUp({ written: [], deleted: [] }, signal) : null
    if (signal.aborted) return reloader.close()
    live.reloader = reloader
    if (reloader.server !== null) {
      const { name, reason } = reloader.server
      const known = options.store.getState().services[service.name]?.server
      if (known?.name !== name || known.reason !== reason)
        options.store.emit({ type: 'serverKnown', service: service.name, server: name, reason })
    }
    settle(owner, live, earlier?.type === 'failed' ? earlier : reloader.first)
  } catch (error) {
    if (signal.aborted) return
    const reason = error instanceof DevstackError ? (error.why ?? error.message) : String(error)
    settle(owner, live, { type: 'unproven', reason })
  }
}

function settle(owner: ServiceLive, live: LiveInstance, result: TakeUpResult): void {
  live.result = result
  if (result.type === 'failed') tellFailure(owner, live, result)
  owner.kick()
  owner.tell()
}

async function takeUp(owner: ServiceLive, live: LiveInstance): Promise<void> {
  const { store, clock } = owner.options
  const { reloader } = live
  const files = live.take()
  live.refresh = false
  const begin = clock.monotonic()
  const about = { batch: owner.batch, service: owner.service.name, instance: live.instance.id }
  live.taking = true
  owner.tell()
  const result = await tellProcesses(owner, live, files).finally(() => (live.taking = false))
  // It was stopped or started again meanwhile: what it says is about processes that are gone.
  if (live.reloader !== reloader) return
  live.result = result
  const durationMs = Math.round((clock.monotonic() - begin) * 10) / 10
  switch (result.type) {
    case 'taken':
      store.emit({ type: 'reloaded', ...about, what: result.what, detail: result.detail, durationMs })
      break
    case 'failed':
      tellFailure(owner, live, result)
      break
    case 'restart':
      owner.act('restart', result.reason)
      break
    case 'unproven':
      break
  }
  offer(owner, live, files)
}

async function tellProcesses(
  owner: ServiceLive,
  live: LiveInstance,
  files: DeliveredFiles,
): Promise<TakeUpResult> {
  const detached = { type: 'unproven', reason: 'it was detached' } as const
  try {
    return (await live.reloader?.takeUp(files, owner.signal)) ?? detached
  } catch (error) {
    if (owner.signal.aborted || !(error instanceof DevstackError)) throw error
    return { type: 'unproven', reason: error.why ?? error.message }
  }
}

function tellFailure(
  owner: ServiceLive,
  live: LiveInstance,
  result: Extract<TakeUpResult, { type: 'failed' }>,
): void {
  const { message, place, output } = result
  const file = place === null ? null : (hostPathOf(owner.service, place.file) ?? place.file)
  owner.options.store.emit({
    type: 'updateFailed',
    batch: owner.batch,
    service: owner.service.name,
    step: 'reload',
    message,
    place: place === null || file === null ? null : { file, line: place.line, column: place.column ?? 1 },
    output,
    waitsFor: 'a save that mends it; the last good code goes on',
  })
}

async function runCommand(
  owner: ServiceLive,
  live: LiveInstance,
  key: string,
  due: DueCommand,
): Promise<void> {
  const { argv } = due.command
  const { problem, output } = await tryCommand(owner, live, due.command)
  if (problem === null) {
    owner.failures.end(key)
    await live.copy.confirm(due.targets)
    return await bringBack(owner, live)
  }
  const rebuild = due.elseRebuild && owner.service.build !== null
  const text = `${argv.join(' ')} ${problem}`
  // It is tried again with the next change of one of its files.
  const waitsFor = rebuild ? 'a rebuild' : 'the next save'
  owner.failures.add('exec', key, { message: text, waitsFor, output })
  if (rebuild) owner.act('rebuild', text)
}

/** What went wrong, or null. */
async function tryCommand(
  owner: ServiceLive,
  live: LiveInstance,
  command: WatchCommand,
): Promise<{ readonly problem: string | null; readonly output: readonly string[] }> {
  try {
    const { exitCode, output } = await run(owner, live, command.argv, command)
    const problem = exitCode === 0 ? null : `ended with ${String(exitCode)}: ${output.at(-1) ?? ''}`
    return { problem, output }
  } catch (error) {
    if (owner.signal.aborted || !(error instanceof DevstackError)) throw error
    return { problem: `cannot run: ${error.why ?? error.message}`, output: [] }
  }
}

async function run(
  owner: ServiceLive,
  live: LiveInstance,
  argv: readonly string[],
  { user, workdir, env }: Omit<WatchCommand, 'argv'>,
): Promise<{ readonly exitCode: number; readonly output: readonly string[] }> {
  const { engine, clock, store } = owner.options
  const output: string[] = []
  const begin = clock.monotonic()
  const keep = (line: string): void => {
    output.push(line)
    if (output.length > OUTPUT_KEPT) output.shift()
  }
  const exitCode = await engine.run(live.instance, { argv, user, workdir, env }, keep, owner.signal)
  const durationMs = Math.round(clock.monotonic() - begin)
  const about = { batch: owner.batch, service: owner.service.name, instance: live.instance.id }
  store.emit({ type: 'commandRan', ...about, argv, exitCode, output, durationMs })
  return { exitCode, output }
}

/** Never run unasked: a migration changes data. */
function offer(owner: ServiceLive, live: LiveInstance, files: DeliveredFiles): void {
  const offered = owner.preset?.offer(files.written) ?? null
  if (offered === null) return
  const { text, argv } = offered
  const { name } = owner.service
  const request = {
    id: `migrate-${name}`,
    kind: 'migration',
    service: name,
    text,
    detail: [argv.join(' ')],
  } as const
  owner.options.approvals.request(request, async () => {
    const { exitCode, output } = await run(owner, live, argv, { user: null, workdir: null, env: {} })
    if (exitCode === 0) return
    throw new DevstackError('EXEC_FAILED', `${argv.join(' ')} ended with ${String(exitCode)}`, {
      cause: output.slice(-3).join('\n'),
      hint: `devstack logs ${name}`,
    })
  })
}
