import { once } from 'node:events'
import { resolve } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { RecordedEntry } from '../../core/exchange-record.js'
import { msText } from '../../core/exchange-text.js'
import { cut, pad } from '../../core/text.js'
import { createRecording, lastRecording, type RecordingFile } from '../../host/requests/file.js'
import { startProxy } from '../../host/requests/proxy.js'
import { createRecorder, type RecordSummary } from '../../host/requests/recorder.js'
import { systemClock } from '../clock.js'
import type { CommandContext } from '../commands.js'
import { print, printJson, type Io } from '../io.js'
import { nearPath } from '../near.js'
import { stackAddress, type StackAddress } from '../stack-address.js'
import { withInterrupt } from '../with-interrupt.js'

export interface RecordOptions {
  readonly service?: string
  readonly to?: string
  readonly port: string
  readonly only?: readonly string[]
  readonly includeSecrets?: boolean
  readonly json?: boolean
}

/** `devstack record`: a proxy in front of the stack that writes down what passes, until Ctrl-C. */
export async function record(
  context: CommandContext,
  file: string | undefined,
  options: RecordOptions,
): Promise<number> {
  return withInterrupt((signal) => recordUntil(context, file, options, signal))
}

/** As {@link record}, until `signal` aborts. */
export async function recordUntil(
  context: CommandContext,
  file: string | undefined,
  options: RecordOptions,
  signal: AbortSignal,
): Promise<number> {
  const { io } = context
  const port = portOf(options.port)
  const address = await stackAddress(context, options.to ?? null, options.service ?? null)
  const path = pathOf(context, file, address)
  const recording = await recordingAt(path, file !== undefined)
  const broken = Promise.withResolvers<never>()
  const recorder = createRecorder({
    only: options.only ?? [],
    includeSecrets: options.includeSecrets === true,
    clock: systemClock,
    failed: broken.reject,
    async write(entry) {
      await recording.write(entry)
      tell(io, entry, options)
    },
  })
  try {
    const proxy = await startProxy({ target: address.url, port, observer: recorder.observer })
    try {
      sayBegin(io, { ...options, url: proxy.url, address, path })
      await Promise.race([signal.aborted ? null : once(signal, 'abort'), broken.promise])
    } finally {
      await proxy.close()
    }
    sayEnd(io, await Promise.race([recorder.finish(), broken.promise]), path, options)
    return 0
  } finally {
    await recording.close()
  }
}

/** The unnamed one takes the place of the last one, but not before there is something to write. */
async function recordingAt(path: string, named: boolean): Promise<RecordingFile> {
  if (named) return createRecording(path, false)
  let made: Promise<RecordingFile> | null = null
  return {
    async write(entry) {
      made ??= createRecording(path, true)
      await (await made).write(entry)
    },
    async close() {
      await (await made)?.close()
    },
  }
}

function pathOf({ globals }: CommandContext, file: string | undefined, { stack }: StackAddress): string {
  if (file !== undefined && !/\.(?:ndjson|jsonl)$/i.test(file))
    throw new DevstackError('USAGE', `${file} is no name for a recording`, {
      cause: 'it is one JSON object a line, and the name says how it is read',
      hint: `devstack record ${file.replace(/\.\w+$/, '')}.ndjson`,
    })
  if (file !== undefined) return resolve(globals.cwd, file)
  if (stack !== null) return lastRecording(stack.stateFolder)
  throw new DevstackError('USAGE', 'no file is named', { hint: 'devstack record --to URL requests.ndjson' })
}

interface Begin extends RecordOptions {
  readonly url: string
  readonly address: StackAddress
  readonly path: string
}

function sayBegin(io: Io, { url, address, path, includeSecrets, json }: Begin): void {
  if (json === true) {
    printJson(io, { type: 'recording', url, target: address.url, file: path })
    return
  }
  print(io, `open ${url} instead of ${address.url} (${address.name})`)
  print(io, `writing to ${nearPath(path, io.cwd)}; Ctrl-C ends`)
  if (includeSecrets === true) print(io, 'warning: passwords, tokens and cookies are written, too')
  print(io, '')
}

function tell(io: Io, entry: RecordedEntry, { json }: RecordOptions): void {
  const { request, status = 0, ms = 0, skip } = entry
  if (json === true) {
    printJson(io, { type: 'recorded', request, status, ms, skip: skip ?? null })
    return
  }
  const width = Math.min(Math.max(io.stdout.columns || 80, 60), 120)
  const time = pad(msText(ms), 9, 'right')
  print(io, `  ${pad(request, width - 17)} ${String(status)} ${time}`)
  if (skip !== undefined) print(io, cut(`    will not be sent: ${skip}`, width))
}

function sayEnd(io: Io, summary: RecordSummary, path: string, { json }: RecordOptions): void {
  if (json === true) {
    printJson(io, { type: 'ended', file: path, ...summary })
    return
  }
  const { written, passedOnly, variables, strangers } = summary
  const near = nearPath(path, io.cwd)
  print(io, '')
  print(io, written === 0 ? 'nothing was recorded' : `${counted(written, 'request')} written to ${near}`)
  const passed = [
    [passedOnly.stream, 'stream'],
    [passedOnly.webSocket, 'WebSocket'],
    [passedOnly.unanswered, 'request without an answer'],
  ] as const
  const others = passed.filter(([count]) => count > 0).map(([count, what]) => counted(count, what))
  if (others.length > 0) print(io, `  not recorded: ${others.join(', ')}`)
  if (strangers.length > 0)
    print(
      io,
      `  cookies from before, left out: ${strangers.join(', ')}; begin with the login to have a session`,
    )
  if (variables.length > 0) print(io, `  secrets left out; to compare, set ${variables.join(', ')}`)
}

/** `1 request`, `2 requests`. */
function counted(count: number, what: string): string {
  const [noun = '', ...rest] = what.split(' ')
  return [String(count), count === 1 ? noun : `${noun}s`, ...rest].join(' ')
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  throw new DevstackError('USAGE', `${text} is no port`, { hint: '--port 8081, or 0 for a free one' })
}
