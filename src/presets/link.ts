import { DevstackError } from '../core/error.js'
import type { AttachContext, InsideProcess } from '../orchestrator/ports.js'
import { Broken, converse, type Conversation, type Message } from './json-lines.js'
import { orAborted } from './take-up.js'

/** How a preset's own program in the container is started and spoken to. */
export interface LinkOptions {
  readonly context: AttachContext
  /** Command lines to try, the next one where a program is not there. */
  readonly commands: readonly (readonly string[])[]
  /** Gets messages that nobody asked for. */
  readonly told: (message: Message) => void
  /** Rejects with {@link Broken} where nobody will ever greet; else never ends. */
  readonly nobody?: ((signal: AbortSignal) => Promise<never>) | undefined
}

/** A connection that is made anew when it is needed and gone. */
export interface Link {
  /** The greeting of a new connection; rejects with {@link Broken}. */
  connect(signal: AbortSignal): Promise<Message>
  /** The answer; over a new connection where the first one broke, once. Null where that broke as well. */
  ask(request: Message, signal: AbortSignal): Promise<Message | null>
  close(): void
}

export function createLink({ context, commands, told, nobody }: LinkOptions): Link {
  let talk: Conversation | null = null
  let works: readonly string[] | null = null
  const greet = async (argv: readonly string[], signal: AbortSignal): Promise<Message> => {
    const opened = converse(await start(context, argv, signal), told)
    try {
      const hello = await greeting(opened, nobody, signal)
      talk = opened
      works = argv
      return hello
    } catch (error) {
      opened.close()
      throw error
    }
  }
  const connect = async (signal: AbortSignal): Promise<Message> => {
    let failure = new Broken('the container has no program to ask', null)
    for (const argv of works === null ? commands : [works]) {
      try {
        return await greet(argv, signal)
      } catch (error) {
        failure = brokenBy(error)
        if (!isMissing(failure)) break
      }
    }
    throw failure
  }
  return {
    connect,
    async ask(request, signal) {
      for (let attempt = 0; attempt < 2; attempt += 1) {
        try {
          if (talk === null || talk.over) await connect(signal)
          if (talk !== null) return await orAborted(talk.ask(request), signal)
        } catch (error) {
          brokenBy(error)
        }
      }
      return null
    },
    close: () => talk?.close(),
  }
}

/** An error that only says that the other end is not there; any other is thrown. */
export function brokenBy(error: unknown): Broken {
  if (error instanceof Broken) return error
  if (error instanceof DevstackError && error.code === 'EXEC_FAILED') return new Broken(error.message, 127)
  throw error
}

function start(
  { engine, instance }: AttachContext,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<InsideProcess> {
  return engine.open(instance, { argv, user: null, workdir: null, env: {} }, signal)
}

/** 126 and 127: there is no such program. */
function isMissing({ exitCode }: Broken): boolean {
  return exitCode === 127 || exitCode === 126
}

async function greeting(
  talk: Conversation,
  nobody: LinkOptions['nobody'],
  signal: AbortSignal,
): Promise<Message> {
  const look = new AbortController()
  const given = nobody?.(AbortSignal.any([signal, look.signal]))
  given?.catch(() => undefined)
  try {
    return await orAborted(given === undefined ? talk.hello : Promise.race([talk.hello, given]), signal)
  } finally {
    look.abort()
  }
}
