import type { Event } from '../../src/core/events.js'
import type { Intent } from '../../src/core/intents.js'
import type { Engine, FileBatch, SourceFile } from '../../src/orchestrator/ports.js'
import { createSession, type Session } from '../../src/orchestrator/session.js'

const clock = { now: () => Date.now(), monotonic: () => performance.now() }

/** Scripted files and batches in place of the host's. */
class FakeSources {
  files: readonly SourceFile[] = []
  private wake: () => void = () => undefined
  private readonly batches: FileBatch[] = []

  change(batch: FileBatch): void {
    this.batches.push(batch)
    this.wake()
  }

  readonly watcher = {
    watch: (_roots: readonly string[], _ignored: unknown, signal: AbortSignal) => this.read(signal),
  }

  readonly tree = {
    scan: (_service: unknown, paths: readonly string[] | null) =>
      Promise.resolve(this.files.filter((file) => paths === null || paths.includes(file.source))),
    ignored: () => false,
  }

  private async *read(signal: AbortSignal): AsyncGenerator<FileBatch> {
    while (!signal.aborted) {
      const batch = this.batches.shift()
      if (batch !== undefined) {
        yield batch
        continue
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }
}

export interface Harness {
  readonly session: Session
  readonly events: Event[]
  readonly sources: FakeSources
  /** The types of the Events, log lines and progress left out. */
  readonly types: () => readonly string[]
  readonly phase: (service: string) => string | undefined
}

export function startSession(engine: Engine): Harness {
  const sources = new FakeSources()
  const session = createSession({
    engine,
    clock,
    watcher: sources.watcher,
    tree: sources.tree,
    history: { read: () => Promise.resolve({}), write: () => Promise.resolve() },
    project: 'demo',
    folder: '/fake',
    engineKind: 'compose',
    version: '0.0.0',
    pid: 1,
    healthDeadlineMs: 5000,
  })
  const events: Event[] = []
  session.store.subscribe((event) => events.push(event))
  return {
    session,
    events,
    sources,
    types: () =>
      events.map((event) => event.type).filter((type) => type !== 'logged' && type !== 'operationProgressed'),
    phase: (service) => session.store.getState().services[service]?.phase,
  }
}

export const up: Extract<Intent, { type: 'up' }> = {
  type: 'up',
  services: [],
  profiles: [],
  build: false,
  watch: true,
  freePorts: false,
}
