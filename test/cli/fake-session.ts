import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DevstackError } from '../../src/core/error.js'
import type { GlobalOptions, Io } from '../../src/cli/io.js'
import { main } from '../../src/cli/main.js'
import { openStack, type StackRef } from '../../src/cli/stack.js'
import { build, version } from '../../src/cli/version.js'
import { readMessages, writeMessage } from '../../src/host/session/lines.js'
import { PROTOCOL, type ClientMessage, type Hello } from '../../src/host/session/protocol.js'
import type { StorySource } from '../ui/story.js'

/** A project in a folder of its own, and command lines that are run in it. */
export interface FakeProject extends AsyncDisposable {
  readonly folder: string
  run(...argv: readonly string[]): Promise<Ran>
  /** What a command line makes of the folder, with the flags that were given. */
  stack(flags?: Partial<GlobalOptions>): Promise<StackRef>
  readonly env: Io['env']
  /** A session of it, which tells a story and takes Intents as the story does. */
  serve(source: StorySource, hello?: Partial<Hello>): Promise<AsyncDisposable>
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export async function fakeProject(): Promise<FakeProject> {
  const folder = await mkdtemp(join(tmpdir(), 'dscli-'))
  await writeFile(join(folder, 'compose.yaml'), 'services:\n  api:\n    image: scratch\n')
  const env = {
    HOME: folder,
    XDG_STATE_HOME: join(folder, '.state'),
    PATH: process.env['PATH'],
    // No engine answers there: what a command does with one belongs to the tests that need it.
    DOCKER_HOST: `unix://${folder}/no-engine.sock`,
  }
  const ioTo = (texts: { out: string; err: string }): Io => {
    const stream = (name: 'out' | 'err'): NodeJS.WriteStream =>
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          texts[name] += chunk.toString()
          done()
        },
      }) as unknown as NodeJS.WriteStream
    return { env, cwd: folder, stdin: process.stdin, stdout: stream('out'), stderr: stream('err') }
  }
  const stack = async (flags: Partial<GlobalOptions> = {}): Promise<StackRef> =>
    openStack({
      io: ioTo({ out: '', err: '' }),
      globals: {
        config: null,
        projectName: null,
        cwd: folder,
        color: false,
        verbose: false,
        yes: false,
        engine: null,
        server: null,
        ...flags,
      },
    })
  return {
    folder,
    env,
    stack,
    async run(...argv) {
      const texts = { out: '', err: '' }
      const code = await main(argv, ioTo(texts))
      return { code, ...texts }
    },
    serve: async (source, hello) => serveStory((await stack()).socketPath, source, hello),
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  }
}

async function serveStory(
  path: string,
  source: StorySource,
  hello: Partial<Hello> = {},
): Promise<AsyncDisposable> {
  const usual: Hello = { protocol: PROTOCOL, version, build, pid: process.pid, lasting: true }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    writeMessage(socket, { hello: { ...usual, ...hello } })
    readMessages(socket, (message) => void answer(socket, message as ClientMessage, source))
  })
  await mkdir(dirname(path), { recursive: true })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(socket: Socket, message: ClientMessage, source: StorySource): Promise<void> {
  const { id } = message
  if ('subscribe' in message) {
    const state = source.getState()
    writeMessage(socket, { snapshot: { seq: state.seq, state, tails: source.tails } })
    const end = source.subscribe((event) => event !== null && writeMessage(socket, { event }))
    socket.once('close', end)
  } else if ('usage' in message) {
    writeMessage(socket, { id, usage: [] })
  } else {
    writeMessage(socket, { id, accepted: true })
    try {
      await source.send(message.intent)
      writeMessage(socket, { id, done: true })
    } catch (error) {
      if (error instanceof DevstackError) writeMessage(socket, { id, error: error.toInfo() })
      else throw error
    }
  }
}
