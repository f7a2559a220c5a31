import { addAbortSignal } from 'node:stream'
import type { Readable } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { LogRecord } from '../../../orchestrator/ports.js'
import type { Channel } from '../../compose/channel.js'
import { cutLine } from '../../compose/lines.js'
import type { Kube } from '../kube-ports.js'
import { instanceId } from '../pods.js'
import { createLogLines } from './log-lines.js'
import type { LogPiece } from './log-lines.js'
import { compareTimes, createLogMemory } from './memory.js'

/** One container of one pod, through all its runs. */
export interface LogSource {
  readonly pod: string
  readonly uid: string
  readonly container: string
  readonly service: string
}

export interface ReadRequest {
  readonly run: number
  readonly previous: boolean
  readonly follow: boolean
  /** The run is over: what comes without a newline at its end is a line of its own. */
  readonly ended: boolean
}

export interface LogBounds {
  /** RFC 3339 with nine digits, or null. */
  readonly since: string | null
  readonly tail: number | null
}

/** How a reading ended: all that there is was read (of a run that goes on: until the stream ended), or it broke, or was refused. */
export type ReadResult = 'read' | 'broken' | 'refused'

/** Said in the place of lines that nobody can read any more. */
const ROTATED = 'devstack: lines are missing here: the node rotated the log while the connection was broken'

/** Reads the log of one container, each time on from where it stopped. */
export interface ContainerLog {
  read(request: ReadRequest, signal: AbortSignal): Promise<ReadResult>
}

export function createContainerLog(
  kube: Kube,
  source: LogSource,
  bounds: LogBounds,
  channel: Channel<LogRecord>,
): ContainerLog {
  // One for all runs, since their times go on: a run that ended while it was asked for gives nothing twice.
  const memory = createLogMemory()
  /** The run of which something was read. */
  let begun: number | null = null

  const open = async (request: ReadRequest, signal: AbortSignal): Promise<Readable> => {
    const resumed = begun === request.run ? memory.earliest() : null
    const options = {
      pod: source.pod,
      container: source.container,
      follow: request.follow,
      previous: request.previous,
      sinceTime: resumed ?? bounds.since,
      tailLines: resumed === null ? bounds.tail : null,
    }
    return addAbortSignal(signal, await kube.logs(options, signal))
  }

  const push = (run: number, { at, text }: LogPiece): void => {
    const instance = instanceId({ uid: source.uid, container: source.container, restartCount: run })
    // The API server mixes both streams and does not say which a line is from.
    for (const part of cutLine(text))
      channel.push({ service: source.service, instance, at, stream: 'stdout', text: part })
  }

  return {
    async read(request, signal) {
      const wasSeen = memory.again()
      const lines = createLogLines()
      let first = begun === request.run
      const take = (pieces: readonly LogPiece[]): void => {
        for (const piece of pieces) {
          // The server cuts the time to whole seconds.
          if (bounds.since !== null && compareTimes(piece.at, bounds.since) < 0) continue
          const seen = wasSeen(piece.at)
          // What was read is there again where the file is the same.
          if (first && !seen) push(request.run, { at: piece.at, text: ROTATED })
          first = false
          if (seen) continue
          begun = request.run
          memory.add(piece.at)
          push(request.run, piece)
        }
      }
      try {
        const stream = await open(request, signal)
        for await (const chunk of stream as AsyncIterable<Uint8Array>) {
          take(lines.write(chunk))
          await channel.ready()
        }
        if (request.ended) take(lines.end())
        return 'read'
      } catch (error) {
        signal.throwIfAborted()
        return refusalOf(error, source)
      }
    },
  }
}

/** A container that is gone, or whose log is: that is no failure of the reader. */
function refusalOf(error: unknown, { service }: LogSource): ReadResult {
  if (error instanceof DevstackError) return error.code === 'OPERATION_FAILED' ? 'refused' : 'broken'
  if (typeof (error as NodeJS.ErrnoException).code === 'string') return 'broken'
  if ((error as Error).message === 'aborted') return 'broken'
  throw Object.assign(error as Error, { message: `the log of ${service}: ${(error as Error).message}` })
}
