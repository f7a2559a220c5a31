import { Readable, Writable } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { ExecOptions, KubeProcess } from '../kube-ports.js'
import { MOST_IN_MESSAGE, openChannels } from './channels.js'
import type { Channels } from './channels.js'
import type { KubeAccess } from './access.js'
import type { KubeStatus } from './errors.js'

/** Numbers of the streams, as all `channel.k8s.io` protocols have them. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const
/** The first one can end stdin while the process goes on. */
const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const
/** As much as a pipe to a process on this machine holds, a few times over. */
const BUFFERED = 256 * 1024

/** See {@link Kube.exec}. */
export async function execInPod(
  access: KubeAccess,
  namespace: string,
  options: ExecOptions,
  signal: AbortSignal,
): Promise<KubeProcess> {
  const life = new ProcessLife()
  const channels = await openChannels(
    access,
    {
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(options.pod)}/exec`,
      query: {
        container: options.container,
        command: options.argv,
        stdin: options.stdin,
        stdout: true,
        // A terminal has one stream for both.
        stderr: !options.tty,
        tty: options.tty,
      },
      protocols: PROTOCOLS,
      doing: `run ${options.argv[0] ?? ''} in ${options.pod}`,
      code: 'EXEC_FAILED',
    },
    life,
    signal,
  )
  life.connect(channels)
  return {
    stdin: options.stdin ? createStdin(channels, life) : closedStdin(),
    stdout: life.stdout,
    stderr: life.stderr,
    started: life.started,
    ended: life.ended,
    resize: (columns, rows) => {
      const size = Buffer.from(JSON.stringify({ Width: columns, Height: rows }))
      channels.send(CHANNEL.resize, size, () => undefined)
    },
    close: () => channels.close(),
  }
}

type Ended = Awaited<KubeProcess['ended']>

/** What comes from the process, from its first byte to how it ended. */
class ProcessLife {
  readonly stdout = this.#createOutput()
  readonly stderr = this.#createOutput()
  readonly ended: Promise<Ended>
  readonly started: Promise<void>
  readonly #full = new Set<Readable>()
  #end: (how: Ended) => void = () => undefined
  #start: () => void = () => undefined
  #failStart: (error: Error) => void = () => undefined
  #channels: Channels | null = null
  #over = false

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.started = new Promise((resolve, reject) => {
      this.#start = resolve
      this.#failStart = reject
    })
    // Nobody has to ask.
    this.started.catch(() => undefined)
  }

  connect(channels: Channels): void {
    this.#channels = channels
    if (this.#over) channels.close()
    else if (this.#full.size > 0) channels.pause()
  }

  receive(channel: number, chunk: Buffer): void {
    // An empty message only says that the stream is there.
    if (chunk.length === 0 || this.#over) return
    if (channel === CHANNEL.stdout) this.#output(this.stdout, chunk)
    else if (channel === CHANNEL.stderr) this.#output(this.stderr, chunk)
    else if (channel === CHANNEL.status) this.#finish(readStatus(chunk))
  }

  closed(cause: string | null): void {
    this.#finish({ exitCode: null, cause: cause ?? 'the connection was closed' })
  }

  #output(stream: Readable, chunk: Buffer): void {
    this.#start()
    if (stream.destroyed || stream.push(chunk)) return
    this.#full.add(stream)
    this.#channels?.pause()
  }

  #createOutput(): Readable {
    const stream: Readable = new Readable({
      highWaterMark: BUFFERED,
      read: () => {
        if (this.#full.delete(stream) && this.#full.size === 0) this.#channels?.resume()
      },
      destroy: (error, done) => {
        // What nobody wants any more holds up nothing.
        if (this.#full.delete(stream) && this.#full.size === 0) this.#channels?.resume()
        done(error)
      },
    })
    return stream
  }

  #finish(how: Ended): void {
    if (this.#over) return
    this.#over = true
    if (how.exitCode === null) {
      const cause = how.cause ?? ''
      this.#failStart(new DevstackError('EXEC_FAILED', 'the program could not be started', { cause }))
    } else this.#start()
    this.stdout.push(null)
    this.stderr.push(null)
    this.#end(how)
    this.#channels?.close()
  }
}

/** `Status` of a process that ended: with the code as text in its causes, or that it could not be started at all. */
function readStatus(chunk: Buffer): Ended {
  const status = JSON.parse(chunk.toString('utf8')) as KubeStatus
  if (status.status === 'Success') return { exitCode: 0, cause: null }
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message
  if (code !== undefined) return { exitCode: Number(code), cause: null }
  return { exitCode: null, cause: status.message ?? 'no reason was given' }
}

function createStdin(channels: Channels, life: ProcessLife): Writable {
  const stdin = new Writable({
    highWaterMark: BUFFERED,
    write: (chunk: Buffer, _encoding, done) => sendPieces(channels, CHANNEL.stdin, chunk, done),
    final: (done) => {
      if (channels.protocol === PROTOCOLS[0]) {
        channels.send(CHANNEL.close, Uint8Array.of(CHANNEL.stdin), done)
      } else {
        // An older server knows only one way to end stdin: to end everything.
        channels.close()
        done()
      }
    },
  })
  // A process may end before it has read everything: `ended` tells how.
  stdin.on('error', () => undefined)
  void life.ended.then(() => stdin.destroy())
  return stdin
}

function closedStdin(): Writable {
  const stdin = new Writable({ write: (_chunk, _encoding, done) => done() })
  stdin.end()
  return stdin
}

/** One after the other, none larger than a message may be. */
function sendPieces(
  channels: Channels,
  channel: number,
  chunk: Uint8Array,
  done: (error?: Error | null) => void,
): void {
  const piece = chunk.subarray(0, MOST_IN_MESSAGE)
  const rest = chunk.subarray(MOST_IN_MESSAGE)
  channels.send(channel, piece, (error) => {
    if (error !== undefined && error !== null) done(error)
    else if (rest.length === 0) done()
    else sendPieces(channels, channel, rest, done)
  })
}
