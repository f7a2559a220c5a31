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

/** The last time seen, and how many pieces carried it: the pieces of a long line share one. */
interface Position {
  time: string
  count: number
}

export function createLogReader(
  docker: Docker,
  source: LogSource,
  request: LogRequest,
  tail: number | null,
): LogReader {
  const position: Position = { time: '', count: 0 }
  return {
    async readOn(channel, signal) {
      const resumed = position.time !== ''
      const since = resumed ? toSeconds(position.time) : (request.since ?? 0)
      let toSkip = resumed ? position.count : 0
      const lines = createLineReader(source)
      try {
        const stream = await openLog(docker, source.id, request.follow, since, resumed ? null : tail, signal)
        for await (const chunk of stream as AsyncIterable<Uint8Array>) {
          for (const piece of lines(chunk)) {
            // Asked for again from the last time on: what was passed on already is left out.
            if (toSkip > 0 && piece.record.at === position.time) {
              toSkip--
              continue
            }
            toSkip = 0
            if (piece.record.at === position.time) position.count++
            else Object.assign(position, { time: piece.record.at, count: 1 })
            for (const text of cutLine(piece.record.text)) channel.push({ ...piece.record, text })
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

interface Piece {
  readonly record: LogRecord
}

/** Whole lines with their times out of the engine's bytes. */
function createLineReader({ id, service, tty }: LogSource): (chunk: Uint8Array) => readonly Piece[] {
  const sanitisers = { stdout: createSanitiser(), stderr: createSanitiser() }
  const pieces = tty ? createRawReader() : createFrameReader()
  return (chunk) =>
    pieces(chunk).flatMap(({ stream, bytes }): readonly Piece[] => {
      const space = bytes.indexOf(0x20)
      if (space < 0) return []
      const at = Buffer.from(bytes.buffer, bytes.byteOffset, space).toString('latin1')
      const whole = bytes.at(-1) === 0x0a
      const sanitiser = sanitisers[stream]
      const written = sanitiser.write(bytes.subarray(space + 1))
      const text = (whole ? written + sanitiser.end() : written).replace(/\n$/, '')
      return [{ record: { service, instance: id, at, stream, text } }]
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
