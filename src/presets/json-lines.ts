import type { InsideProcess } from '../orchestrator/ports.js'

/** A line from inside, not trusted: a JSON object with a type. */
export interface Message {
  readonly type: string
  readonly [key: string]: unknown
}

/** Requests and answers, a JSON object a line, with a process in a container. */
export interface Conversation {
  /** Resolves with the first message of the process; rejects with {@link Broken} where it ends without one. */
  readonly hello: Promise<Message>
  /** Resolves with the answer; rejects with {@link Broken} where the process ends before. */
  ask(request: Message): Promise<Message>
  /** True from its end on. */
  readonly over: boolean
  close(): void
}

/** The process at the other end is gone. */
export class Broken extends Error {
  override readonly name = 'Broken'
  readonly exitCode: number | null

  constructor(message: string, exitCode: number | null) {
    super(message)
    this.exitCode = exitCode
  }
}

/** `unasked` gets every message that answers nothing, the first one excepted. */
export function converse(inside: InsideProcess, unasked: (message: Message) => void): Conversation {
  const hello = Promise.withResolvers<Message>()
  hello.promise.catch(() => undefined)
  const waiting = new Map<number, PromiseWithResolvers<Message>>()
  const state = { over: false, greeted: false, count: 0 }
  const take = (message: Message): void => {
    const { id } = message
    const asked = typeof id === 'number' ? waiting.get(id) : undefined
    if (asked !== undefined) {
      waiting.delete(id as number)
      asked.resolve(message)
    } else if (state.greeted) unasked(message)
    else hello.resolve(message)
    state.greeted = true
  }
  const read = async (): Promise<void> => {
    try {
      for await (const line of inside.lines) {
        const message = messageOf(line)
        if (message !== null) take(message)
      }
    } finally {
      state.over = true
    }
    const { exitCode, stderr } = await inside.ended
    throw new Broken(lastLine(stderr) ?? 'the connection to the container broke', exitCode)
  }
  read().catch((error: unknown) => {
    hello.reject(error)
    for (const asked of waiting.values()) asked.reject(error)
    waiting.clear()
  })
  return {
    hello: hello.promise,
    ask(request) {
      if (state.over) return Promise.reject(new Broken('the connection to the container broke', null))
      state.count += 1
      const asked = Promise.withResolvers<Message>()
      waiting.set(state.count, asked)
      inside.write(JSON.stringify({ id: state.count, ...request }))
      return asked.promise
    },
    get over() {
      return state.over
    },
    close: () => inside.close(),
  }
}

/** What programs print between is no message. */
function messageOf(line: string): Message | null {
  try {
    const value = JSON.parse(line) as Message | null
    return typeof value === 'object' && typeof value?.type === 'string' ? value : null
  } catch {
    return null
  }
}

function lastLine(text: string): string | null {
  return text.trim().split('\n').at(-1)?.trim() || null
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** `value` where it is an object, else an empty one. */
export function partsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}
