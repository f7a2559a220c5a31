import type { Emit, LogLine } from '../core/events.js'
import type { Engine, LogRecord } from './ports.js'

const BATCH_MS = 100
const TAIL_LINES = 500

/** Follows the stack's logs, tells them as `logged` Events, and keeps the last lines of each service. */
export interface LogPump {
  /** The last lines by service, for a client that joins. */
  tails(): Readonly<Record<string, readonly LogLine[]>>
  run(signal: AbortSignal): Promise<void>
}

export function createLogPump(engine: Engine, emit: Emit): LogPump {
  const tails = new Map<string, LogLine[]>()
  const counts = new Map<string, number>()
  const pending = new Map<string, LogRecord[]>()
  let timer: NodeJS.Timeout | null = null

  const flush = (): void => {
    timer = null
    for (const records of pending.values()) {
      const [first] = records
      if (first === undefined) continue
      const lines = records.map(({ at, stream, text }) => ({ at, stream, text }))
      const before = counts.get(first.service) ?? 0
      counts.set(first.service, before + lines.length)
      tails.set(first.service, [...(tails.get(first.service) ?? []), ...lines].slice(-TAIL_LINES))
      const { service, instance } = first
      emit({
        type: 'logged',
        service,
        instance,
        firstLine: before + 1,
        lastLine: before + lines.length,
        dropped: 0,
        lines,
      })
    }
    pending.clear()
  }

  return {
    tails: () => Object.fromEntries(tails),
    async run(signal) {
      for await (const record of engine.logs(
        { services: [], follow: true, since: null, tail: TAIL_LINES },
        signal,
      )) {
        const records = pending.get(record.instance)
        if (records === undefined) pending.set(record.instance, [record])
        else records.push(record)
        timer ??= setTimeout(flush, BATCH_MS)
      }
      if (timer !== null) clearTimeout(timer)
      flush()
    },
  }
}
