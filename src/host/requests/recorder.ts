import { Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import type { HeaderList } from '../../core/exchange.js'
import { recordRequest, type RecordedEntry, type SeenBody } from '../../core/exchange-record.js'
import { createRedactor } from '../../core/exchange-secrets.js'
import type { Clock } from '../../orchestrator/ports.js'
import { textOf, uncompress } from './body.js'
import { MOST_KEPT, type Collected } from './collect.js'
import { originOf, type NotPassed, type Passed, type ProxyObserver } from './proxy.js'

/** What became of everything that passed. */
export interface RecordSummary {
  readonly written: number
  /** Streams, WebSockets and requests without an answer. */
  readonly passedOnly: Readonly<Record<NotPassed, number>>
  /** Variables that stand for secrets in the file. */
  readonly variables: readonly string[]
  /** Cookies that were there before and are left out. */
  readonly strangers: readonly string[]
}

export interface Recorder {
  readonly observer: ProxyObserver
  /** After everything that was answered until now is written. */
  readonly finish: () => Promise<RecordSummary>
}

export interface RecorderOptions {
  /** Only requests whose path begins with one of these; none: all. */
  readonly only: readonly string[]
  readonly includeSecrets: boolean
  readonly clock: Clock
  /** Adds one line to the file. */
  readonly write: (entry: RecordedEntry) => Promise<void>
  /** The file cannot be written. */
  readonly failed: (error: unknown) => void
}

/** A request that came: what is written of it, once that is known. */
interface Slot {
  entry: RecordedEntry | 'awaited' | 'none'
}

export function createRecorder(options: RecorderOptions): Recorder {
  const { clock, only, failed } = options
  const redactor = createRedactor(options.includeSecrets)
  const queue = createQueue(options.write)
  const passedOnly: Record<NotPassed, number> = { stream: 0, unanswered: 0, webSocket: 0 }
  // One after another: what an answer taught is known before a later request is looked at.
  let work = Promise.resolve()

  const settle = async (slot: Slot, outcome: Passed | NotPassed, times: Times): Promise<void> => {
    if (slot.entry === 'none') return
    if (typeof outcome === 'string') passedOnly[outcome] += 1
    const status = typeof outcome === 'string' ? 0 : (outcome.answer.statusCode ?? 0)
    slot.entry =
      typeof outcome === 'string' ? 'none' : { ...(await entryOf(outcome, redactor)), ...times, status }
    await queue.flush(false)
  }

  return {
    observer: {
      began(request, target) {
        const begin = clock.monotonic()
        const at = new Date(clock.now()).toISOString()
        const wanted = only.length === 0 || only.some((prefix) => target.startsWith(prefix))
        const slot = queue.add(wanted && target.startsWith('/'))
        return (outcome) => {
          const ms = Math.round((clock.monotonic() - begin) * 10) / 10
          work = work.then(async () => settle(slot, outcome, { at, ms })).catch(failed)
        }
      },
    },
    async finish() {
      await work
      // What is not answered by now is not waited for.
      work = work
        .then(async () => {
          passedOnly.unanswered += await queue.flush(true)
        })
        .catch(failed)
      await work
      const variables = redactor.variables()
      return { written: queue.written(), passedOnly, variables, strangers: redactor.strangers() }
    },
  }
}

type Times = Pick<RecordedEntry, 'at' | 'ms'>

/** Requests in the order of their coming; nothing is written before what came earlier is settled. */
interface Queue {
  readonly add: (wanted: boolean) => Slot
  /** Writes what is settled; `all`: also what stands behind a request that is not. Returns how many those were. */
  readonly flush: (all: boolean) => Promise<number>
  readonly written: () => number
}

function createQueue(write: RecorderOptions['write']): Queue {
  const slots: Slot[] = []
  let written = 0
  return {
    add(wanted) {
      const slot: Slot = { entry: wanted ? 'awaited' : 'none' }
      slots.push(slot)
      return slot
    },
    async flush(all) {
      const awaited = slots.findIndex(({ entry }) => entry === 'awaited')
      const settled = slots.splice(0, all || awaited < 0 ? slots.length : awaited)
      const entries = settled.map(({ entry }) => entry)
      for (const slot of settled) slot.entry = 'none'
      for (const entry of entries) {
        if (typeof entry === 'string') continue
        await write(entry)
        written += 1
      }
      return entries.filter((entry) => entry === 'awaited').length
    },
    written: () => written,
  }
}

async function entryOf(
  { request, target, body, answer, answerBody }: Passed,
  redactor: ReturnType<typeof createRedactor>,
): Promise<RecordedEntry> {
  const entry = recordRequest(
    {
      method: request.method ?? 'GET',
      target,
      headers: headersOf(request),
      body: await bodyOf(request, body),
      origin: originOf(request),
    },
    redactor,
  )
  const type = answer.headers['content-type'] ?? ''
  const json = /^[^;]*[/+]json\b/i.test(type)
  const told = json || /^text\/html\b/i.test(type) ? await plainBytes(answer, answerBody) : null
  const keep = redactor.learn({
    setCookies: answer.headers['set-cookie'] ?? [],
    text: told === null ? null : textOf(told, type),
    json,
  })
  return Object.keys(keep).length === 0 ? entry : { ...entry, keep }
}

function headersOf({ rawHeaders }: IncomingMessage): HeaderList {
  return rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ''] as const] : [],
  )
}

async function bodyOf(request: IncomingMessage, collected: Collected): Promise<SeenBody> {
  const bytes = collected.bytes()
  // Broken off, after its answer.
  if (bytes === null || !request.complete) return { kind: 'tooLong', bytes: collected.length() }
  if (bytes.length === 0) return { kind: 'none' }
  // A compressed body is sent again as it was.
  const text = request.headers['content-encoding'] === undefined ? textOf(bytes, undefined) : null
  if (text !== null) return { kind: 'text', text }
  return { kind: 'bytes', base64: bytes.toString('base64'), latin1: bytes.toString('latin1') }
}

/** Null where it was not kept, or cannot be read: then nothing is learned from it. */
async function plainBytes(answer: IncomingMessage, collected: Collected): Promise<Buffer | null> {
  const bytes = collected.bytes()
  const encoding = answer.headers['content-encoding'] ?? ''
  if (bytes === null || bytes.length === 0 || encoding === '') return bytes
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of uncompress(Readable.from([bytes]), encoding) as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > 4 * MOST_KEPT) return null
      chunks.push(chunk)
    }
  } catch {
    return null
  }
  return Buffer.concat(chunks)
}
