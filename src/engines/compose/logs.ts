import type { LogRecord, LogRequest } from '../../orchestrator/ports.js'
import { produce } from './channel.js'
import type { Channel } from './channel.js'
import { isUnreachable } from './docker.js'
import type { Docker } from './docker.js'
import { watchContainers } from './event-stream.js'
import { LABEL } from './labels.js'
import { createLogReader } from './log-reader.js'
import type { LogReader } from './log-reader.js'
import { inspect, listContainers } from './observe.js'

interface Source {
  readonly service: string
  readonly reader: LogReader
  reading: boolean
  /** Started again while its last output was still being read. */
  again: boolean
}

/** The lines of the project's containers; with `follow` also of those that start later, and on after a lost connection. */
export function readLogs(
  docker: Docker,
  project: string,
  request: LogRequest,
  signal: AbortSignal,
): AsyncIterable<LogRecord> {
  return produce(signal, (channel, stop) => {
    const events = request.follow ? watchContainers(docker, project, stop) : null
    return new Collector(docker, project, request, channel, stop).run(events)
  })
}

class Collector {
  private readonly sources = new Map<string, Source>()

  constructor(
    private readonly docker: Docker,
    private readonly project: string,
    private readonly request: LogRequest,
    private readonly channel: Channel<LogRecord>,
    private readonly signal: AbortSignal,
  ) {}

  async run(events: ReturnType<typeof watchContainers> | null): Promise<void> {
    const first = await this.readAll(this.request.tail)
    if (events === null) {
      await Promise.all(first)
      return
    }
    for (const reading of first) this.watch(reading)
    let connected = false
    for await (const item of events) {
      // What is new while we follow is read whole.
      if (item.type === 'connected' && connected) this.watch(this.resume())
      connected = true
      if (item.type !== 'event') continue
      const { ID: id, Attributes } = item.event.Actor
      const service = Attributes[LABEL.service] ?? ''
      if (item.event.Action === 'destroy') this.sources.delete(id)
      if (item.event.Action === 'start' && this.wants(service)) this.watch(this.read(id, service, null))
    }
  }

  private async resume(): Promise<void> {
    for (const reading of await this.readAll(null)) this.watch(reading)
  }

  private wants(service: string): boolean {
    return this.request.services.length === 0 || this.request.services.includes(service)
  }

  private async readAll(tail: number | null): Promise<Promise<void>[]> {
    const containers = await listContainers(this.docker, this.project, this.signal)
    return containers
      .map(({ Id, Labels }) => ({ id: Id, service: Labels[LABEL.service] ?? '' }))
      .filter(({ service }) => this.wants(service))
      .map(({ id, service }) => this.read(id, service, tail))
  }

  private watch(reading: Promise<void>): void {
    // While the engine is away there is nothing to read; `connected` comes when it is back.
    reading.catch((error: unknown) => {
      if (!isUnreachable(error)) this.channel.fail(error)
    })
  }

  private async read(id: string, service: string, tail: number | null): Promise<void> {
    const known = this.sources.get(id)
    if (known?.reading === true) {
      known.again = true
      return
    }
    const container = await inspect(this.docker, id, this.signal)
    if (container === null) return
    const source = known ?? {
      service,
      reader: createLogReader(this.docker, { id, service, tty: container.Config.Tty }, this.request, tail),
      reading: false,
      again: false,
    }
    this.sources.set(id, source)
    if (source.reading) {
      source.again = true
      return
    }
    source.reading = true
    try {
      do {
        source.again = false
        await source.reader.readOn(this.channel, this.signal)
      } while (source.again && !this.signal.aborted)
    } finally {
      source.reading = false
    }
  }
}
