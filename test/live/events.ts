import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { launcher, type Place } from '../e2e/support.ts'
import { monotonic } from './observer.ts'

/** An Event as `--ui json` prints it, and when its line came. */
export interface SeenEvent {
  readonly type: string
  readonly seq: number
  readonly received: number
  readonly [field: string]: unknown
}

/** The Events of a stack's session, by an `up` of its own. */
export interface Events extends AsyncDisposable {
  /** Those since `mark`, of one type. */
  of(type: string, mark?: number): readonly SeenEvent[]
  /** A point in what has come; later ones are asked for with it. */
  mark(): number
  /** The first one from `mark` on that matches; null where none comes in time. */
  next(matches: (event: SeenEvent) => boolean, mark: number, timeoutMs?: number): Promise<SeenEvent | null>
}

/** Brings a place up, or joins its session, and resolves when it is ready. It leaves by a hang-up, which only detaches. */
export async function followEvents(place: Place): Promise<Events> {
  const child = spawn(launcher, ['up', '--ui', 'json'], {
    cwd: place.folder,
    env: place.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const seen: SeenEvent[] = []
  const listeners = new Set<() => void>()
  const told = (): void => {
    for (const listener of listeners) listener()
  }
  createInterface({ input: child.stdout }).on('line', (line) => {
    seen.push({ ...(JSON.parse(line) as SeenEvent), received: monotonic() })
    told()
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const next: Events['next'] = (matches, mark, timeoutMs = 30_000) =>
    new Promise((resolve) => {
      const finish = (event: SeenEvent | null): void => {
        clearTimeout(timer)
        listeners.delete(look)
        resolve(event)
      }
      let from = mark
      const look = (): void => {
        for (; from < seen.length; from += 1) {
          const event = seen[from]
          if (event !== undefined && matches(event)) return finish(event)
        }
      }
      const timer = setTimeout(() => finish(null), timeoutMs)
      listeners.add(look)
      void exited.then(() => finish(null))
      look()
    })
  const outcome = await next(({ type }) => type === 'stackReady' || type === 'stackFailed', 0, 300_000)
  if (outcome?.type !== 'stackReady')
    throw new Error(
      `${place.name} did not come up:\n${seen.map((event) => JSON.stringify(event)).join('\n')}`,
    )
  return {
    of: (type, mark = 0) => seen.slice(mark).filter((event) => event.type === type),
    mark: () => seen.length,
    next,
    async [Symbol.asyncDispose]() {
      child.kill('SIGHUP')
      await exited
    },
  }
}
