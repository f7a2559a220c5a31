import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'

/** Milliseconds of CLOCK_MONOTONIC: the observer's clock as well, since a container has its host's. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** What the files of a container are when; asked inside, so it takes nobody's word. */
export interface Observer extends AsyncDisposable {
  /** When the file's content was `text`, or null. */
  sees(path: string, text: string, timeoutMs?: number): Promise<number | null>
  /** When all files had their hash; a hash of null: when it was gone. `at` is null where some never were right. */
  settles(files: Readonly<Record<string, string | null>>, timeoutMs?: number): Promise<Settled>
  /** Notes each content that the files have until it is stopped. */
  records(paths: readonly string[]): { stop(): Promise<readonly (readonly [path: string, text: string])[]> }
}

export interface Settled {
  readonly at: number | null
  readonly wrong: number
  readonly some: readonly string[]
}

/** Starts an observer in a container that has a `python3`. `inside`: what runs a program there, `docker exec` where it is left out. */
export async function observe(
  container: string,
  inside: readonly [string, ...string[]] = ['docker', 'exec', '-i', container],
): Promise<Observer> {
  const source = await readFile(new URL('observer.py', import.meta.url), 'utf8')
  const [program, ...argv] = inside
  const child = spawn(program, [...argv, 'python3', '-uc', source], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting: PromiseWithResolvers<unknown>[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => waiting.shift()?.resolve(JSON.parse(line)))
  child.once('exit', () => {
    for (const one of waiting.splice(0)) one.reject(new Error(`the observer in ${container} ended`))
  })
  // It may be gone with its container; whoever waits for an answer is told by `exit`.
  child.stdin.on('error', () => undefined)
  const answer = async <T>(): Promise<T> => {
    if (child.exitCode !== null) throw new Error(`the observer in ${container} has ended`)
    const one = Promise.withResolvers<unknown>()
    waiting.push(one)
    return (await one.promise) as T
  }
  const ask = <T>(request: unknown): Promise<T> => {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    return answer<T>()
  }
  await answer()
  return {
    sees: async (path, text, timeoutMs = 30_000) =>
      (await ask<{ readonly at: number | null }>({ do: 'see', path, text, timeoutMs })).at,
    settles: (files, timeoutMs = 120_000) => ask<Settled>({ do: 'settle', files, timeoutMs }),
    records: (paths) => {
      const answered = ask<{ readonly seen: readonly (readonly [string, string])[] }>({ do: 'record', paths })
      return {
        stop: async () => {
          child.stdin.write('\n')
          return (await answered).seen
        },
      }
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
    },
  }
}
