import type { Readable } from 'node:stream'
import type Dockerode from 'dockerode'
import type { LogRecord, LogRequest } from '../../orchestrator/ports.js'
import type { Channel } from './channel.js'
import { isNotFound } from './docker.js'
import type { Docker } from './docker.js'
import { createFrameReader } from './frames.js'
import { cutLine } from './lines.js'
import { createSanitiser } from './sanitise.js'

/** Reads one container's log, on from where it stopped. */
export interface LogReader {
  /** Resolves when the container ends, the connection breaks, or (without `follow`) all is read. */
  readOn(channel: Channel<LogRecord>, signal: AbortSignal): Promise<void>
}

interface LogSource {
  readonly id: string
  readonly service: string
  readonly tty: boolean
}

/**
 * How many of the last times are remembered. The engine stamps a line before it writes it, and stdout and stderr are
 * written side by side: a file's times may run backwards by as many lines as were under way.
 */
const REMEMBERED = 1024

export function createLogReader(
  docker: Docker,
  source: LogSource,
  request: LogRequest,
  tail: number | null,
): LogReader {
  const seen = createMemory()
  return {
    async readOn(channel, signal) {
      const resumed = seen.earliest()
      const since = resumed === null ? (request.since ?? 0) : toSeconds(resumed)
      const wasSeen = seen.again()
      const lines = createLineReader(source)
      try {
        const stream = await openLog(
          docker,
          source.id,
          request.follow,
          since,
          resumed === null ? tail : null,
          signal,
        )
        for await (const chunk of stream as AsyncIterable<Uint8Array>) {
          for (const record of lines(chunk)) {
            const key = `${record.at} ${record.stream}`
            if (wasSeen(key)) continue
            seen.add(key)
            for (const text of cutLine(record.text)) channel.push({ ...record, text })
          }
          await channel.ready()
        }
      } catch (error) {
        if (signal.aborted || isNotFound(error) || isBroken(error) || isUnreadable(error)) return
        throw docker.explain(error, `read the log of ${source.service}`)
      }
    },
  }
}

/** What was passed on of late, by time and stream: the pieces of a long line share one, so they are counted. */
function createMemory() {
  const counts = new Map<string, number>()
  return {
    add(key: string): void {
      counts.set(key, (counts.get(key) ?? 0) + 1)
      const [oldest] = counts.keys()
      if (counts.size > REMEMBERED && oldest !== undefined) counts.delete(oldest)
    },
    /** The time to ask from on; null where nothing was read. */
    earliest(): string | null {
      let earliest: string | null = null
      for (const key of counts.keys()) {
        const time = key.slice(0, key.indexOf(' '))
        if (earliest === null || compareTimes(time, earliest) < 0) earliest = time
      }
      return earliest
    },
    /** Tells of each line that is read again, once, that it was passed on already. */
    again(): (key: string) => boolean {
      const left = new Map(counts)
      return (key) => {
        const count = left.get(key) ?? 0
        if (count > 0) left.set(key, count - 1)
        return count > 0
      }
    },
  }
}

/** The engine leaves trailing zeros out, so that text alone does not order times of one second. */
function compareTimes(a: string, b: string): number {
  return Number(BigInt(toSeconds(a).replace('.', '')) - BigInt(toSeconds(b).replace('.', '')))
}

async function openLog(
  docker: Docker,
  id: string,
  follow: boolean,
  since: string | number,
  tail: number | null,
  signal: AbortSignal,
): Promise<Readable> {
  const client = await docker.client()
  const options = {
    follow,
    stdout: true,
    stderr: true,
    timestamps: true,
    since,
    ...(tail === null ? {} : { tail }),
    abortSignal: signal,
  }
  // The types know only whole seconds, and a buffer where nothing is followed; the library streams when told so.
  const log = await client
    .getContainer(id)
    .logs(options as unknown as Dockerode.ContainerLogsOptions & { follow: true })
  const { Readable } = await import('node:stream')
  return Buffer.isBuffer(log) ? Readable.from([log]) : (log as Readable)
}

/** Whole lines with their times out of the engine's bytes. */
function createLineReader({ id, service, tty }: LogSource): (chunk: Uint8Array) => readonly LogRecord[] {
  const sanitisers = { stdout: createSanitiser(), stderr: createSanitiser() }
  const pieces = tty ? createRawReader() : createFrameReader()
  return (chunk) =>
    pieces(chunk).flatMap(({ stream, bytes }): readonly LogRecord[] => {
      const space = bytes.indexOf(0x20)
      if (space < 0) return []
      const at = Buffer.from(bytes.buffer, bytes.byteOffset, space).toString('latin1')
      const whole = bytes.at(-1) === 0x0a
      const sanitiser = sanitisers[stream]
      const written = sanitiser.write(bytes.subarray(space + 1))
      const text = (whole ? written + sanitiser.end() : written).replace(/\n$/, '')
      return [{ service, instance: id, at, stream, text }]
    })
}

/** A terminal's output is not framed: lines end with `\n`. */
function createRawReader(): (chunk: Uint8Array) => readonly { stream: 'stdout'; bytes: Uint8Array }[] {
  let rest: Uint8Array = new Uint8Array(0)
  return (chunk) => {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const found: { stream: 'stdout'; bytes: Uint8Array }[] = []
    let from = 0
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, from)) {
      found.push({ stream: 'stdout', bytes: data.subarray(from, end + 1) })
      from = end + 1
    }
    rest = data.slice(from)
    return found
  }
}

/** `2026-01-02T03:04:05.123456789Z` as the engine's `since`, with all nine digits. */
function toSeconds(time: string): string {
  const [, fraction = '0'] = /\.(\d+)/.exec(time) ?? []
  const seconds = Math.floor(Date.parse(time) / 1000)
  return `${String(seconds)}.${fraction.padEnd(9, '0')}`
}

function isBroken(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string }
  const broken = [
    'ECONNRESET',
    'EPIPE',
    'ECONNREFUSED',
    'ENOENT',
    'ERR_STREAM_PREMATURE_CLOSE',
    'ECONNABORTED',
  ]
  return broken.includes(code ?? '') || message === 'aborted'
}

/** Some log drivers only send lines away: then there is nothing to show, which is no failure. */
function isUnreadable(error: unknown): boolean {
  return /does not support reading/i.test((error as { message?: string }).message ?? '')
}
