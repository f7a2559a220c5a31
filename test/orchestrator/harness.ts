import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Event } from '../../src/core/events.js'
import type { Intent } from '../../src/core/intents.js'
import type { Service } from '../../src/core/project.js'
import { delivers, isWithin, mountedBy, ruleFor, targetOf } from '../../src/core/update.js'
import type {
  DeliveryRecord,
  Engine,
  LivePreset,
  SourceBatch,
  SourceFile,
  Sources,
  SourceScan,
} from '../../src/orchestrator/ports.js'
import { createSession, type Session } from '../../src/orchestrator/session.js'

const clock = { now: () => Date.now(), monotonic: () => performance.now() }

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A host of text files in memory, in place of the real one. What is written is told, unless it is told otherwise. */
export class FakeSources implements Sources {
  readonly files = new Map<string, string>()
  readonly refused = new Map<string, string>()
  /** Where the text is kept so that a fake engine can read it. */
  private made: string | null = null
  private readonly untold = new Set<string>()
  private readonly batches: SourceBatch[] = []
  private wake: () => void = () => undefined
  private broken: Error | null = null

  /** Absolute path of a host file. */
  path(name: string): string {
    return join(this.real, name)
  }

  write(name: string, text: string, tell = true): void {
    const path = this.path(name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    this.files.set(path, text)
    this.noticed(path, tell)
  }

  remove(name: string, tell = true): void {
    rmSync(this.path(name), { force: true })
    this.files.delete(this.path(name))
    this.noticed(this.path(name), tell)
  }

  /** Takes an empty folder away. */
  rmdir(name: string): void {
    rmSync(this.path(name), { recursive: true, force: true })
  }

  private get real(): string {
    this.made ??= mkdtempSync(join(tmpdir(), 'devstack-host-'))
    return this.made
  }

  dispose(): void {
    if (this.made !== null) rmSync(this.made, { recursive: true, force: true })
  }

  private noticed(path: string, tell: boolean): void {
    if (tell) this.batches.push({ paths: [path], settled: true })
    else this.untold.add(path)
    this.wake()
  }

  scan(service: Service, paths: readonly string[] | null): Promise<SourceScan> {
    const covered = (path: string): boolean =>
      ruleFor(service, path) !== null && (paths === null || paths.some((asked) => isWithin(asked, path)))
    const files = [...this.files].filter(([path]) => covered(path) && !this.refused.has(path))
    return Promise.resolve({
      files: files.map(([source, text]): SourceFile => {
        const rule = ruleFor(service, source)
        const through = rule === null || mountedBy(service, rule) !== null || !delivers(rule.action)
        const target = through ? null : targetOf(rule, source)
        return { source, target, sha256: sha(text), mode: 0o644, modifiedMs: Date.now(), link: null }
      }),
      gone: (paths ?? []).filter((path) => !this.files.has(path) && ruleFor(service, path) !== null),
      refused: [...this.refused]
        .filter(([path]) => covered(path))
        .map(([path, reason]) => ({ path, reason })),
    })
  }

  replace(path: string, content: Uint8Array): Promise<void> {
    this.write(path.slice(this.real.length + 1), Buffer.from(content).toString())
    return Promise.resolve()
  }

  recheck(service: Service): Promise<readonly string[]> {
    const found = [...this.untold].filter((path) => ruleFor(service, path) !== null)
    for (const path of found) this.untold.delete(path)
    return Promise.resolve(found)
  }

  /** The watch ends with this error. */
  break(error: Error): void {
    this.broken = error
    this.wake()
  }

  async *watch(
    _services: readonly Service[],
    _warn: unknown,
    signal: AbortSignal,
  ): AsyncGenerator<SourceBatch> {
    yield { paths: [], settled: true }
    while (!signal.aborted) {
      if (this.broken !== null) {
        const error = this.broken
        this.broken = null
        throw error
      }
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

/** Remembers deliveries as the host does, in memory; handed to the next session it outlives this one. */
export class FakeRecord implements DeliveryRecord {
  private readonly entries = new Map<string, Record<string, string | null>>()

  read(instance: string): Promise<Readonly<Record<string, string | null>>> {
    return Promise.resolve({ ...this.entries.get(instance) })
  }

  add(instance: string, entries: Readonly<Record<string, string | null>>): Promise<void> {
    this.entries.set(instance, { ...this.entries.get(instance), ...entries })
    return Promise.resolve()
  }

  keep(instances: readonly string[]): Promise<void> {
    for (const id of this.entries.keys()) if (!instances.includes(id)) this.entries.delete(id)
    return Promise.resolve()
  }
}

export interface Harness {
  readonly session: Session
  readonly events: Event[]
  readonly sources: FakeSources
  readonly record: FakeRecord
  /** The types of the Events, log lines and progress left out. */
  readonly types: () => readonly string[]
  readonly phase: (service: string) => string | undefined
}

export interface HarnessOptions {
  readonly sources?: FakeSources
  readonly record?: FakeRecord
  readonly preset?: LivePreset | null
  readonly bringBack?: readonly string[]
}

export function startSession(engine: Engine, options: HarnessOptions = {}): Harness {
  const { sources = new FakeSources(), record = new FakeRecord(), preset = null, bringBack = [] } = options
  const session = createSession({
    engine,
    clock,
    sources,
    record,
    preset: () => preset,
    bringBack: () => bringBack,
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
    record,
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
  autoApply: false,
}
