import type { Instance } from '../../core/project.js'
import { isWithin } from '../../core/update.js'
import type { DueCommand } from './changes.js'
import type { DeliveredFiles, Reloader, TakeUpResult } from '../ports.js'
import type { InstanceCopy } from './instance-copy.js'

/** How long a delivery is remembered to find out whether it came before or after its process began. */
const RECENT_MS = 5000

/** One instance of a watched service: what it holds, who reloads it, and what its processes have not taken up yet. */
export class LiveInstance {
  running = false
  /** Null until it was attached to; stays null where the service has no preset. */
  reloader: Reloader | null = null
  /** Ends the attaching that is under way. */
  attaching: AbortController | null = null
  /** The last word of its processes; null before the first. */
  result: TakeUpResult | null = null
  /** It may hold the address of a container that has another one now: its processes are told to look again. */
  refresh = false
  /** It ran before anybody here watched: what its processes took up of what it holds is not known. */
  joined = false
  /** Its processes are being told right now. */
  taking = false
  /** Commands of `sync+exec` that have still to run in it, each once, whichever rules ask for it. */
  readonly due = new Map<string, DueCommand>()
  /** Deleted while it did not run, or while nobody had told yet that it does. */
  private readonly early = new Set<string>()
  private readonly written = new Set<string>()
  private readonly deleted = new Set<string>()
  private recent: { readonly at: number; readonly files: DeliveredFiles }[] = []

  constructor(public copy: InstanceCopy) {}

  get instance(): Instance {
    return this.copy.instance
  }

  /** Something was delivered, or changed in a bind mount, at this time in milliseconds since the epoch. */
  delivered(files: DeliveredFiles, at: number): void {
    this.recent = [...this.recent.filter((other) => at - other.at < RECENT_MS), { at, files }]
    for (const target of files.written) this.early.delete(target)
    // A process that is not there yet reads everything when it starts.
    if (this.running) this.add(files)
    else for (const target of files.deleted) this.early.add(target)
  }

  /** Its process began. What was delivered since then may have come too late for it. */
  started(instance: Instance): void {
    this.detach()
    this.copy = this.copy.at(instance)
    this.running = true
    this.result = null
    const began = Date.parse(instance.startedAt ?? '')
    for (const { at, files } of this.recent) if (at >= began) this.add(files)
  }

  /** What has to be deleted once more now that it runs; what is there again, as a file or as a folder, is not to go. */
  get earlyDeletes(): readonly string[] {
    const held = [...this.copy.held.keys()]
    return [...this.early].filter((target) => !held.some((other) => isWithin(target, other)))
  }

  /** They are deleted. */
  endEarly(): void {
    this.early.clear()
  }

  stopped(): void {
    this.detach()
    this.running = false
    this.result = null
    this.written.clear()
    this.deleted.clear()
  }

  detach(): void {
    this.attaching?.abort()
    this.attaching = null
    this.reloader?.close()
    this.reloader = null
  }

  get hasUntaken(): boolean {
    return this.written.size + this.deleted.size > 0
  }

  /** What its processes have not taken up; asked for once. */
  take(): DeliveredFiles {
    const files = { written: [...this.written], deleted: [...this.deleted] }
    this.written.clear()
    this.deleted.clear()
    return files
  }

  private add({ written, deleted }: DeliveredFiles): void {
    for (const target of deleted) {
      this.written.delete(target)
      this.deleted.add(target)
    }
    for (const target of written) {
      this.deleted.delete(target)
      this.written.add(target)
    }
  }
}
