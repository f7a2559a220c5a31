import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import type { Instance } from '../../core/project.js'
import type { DeliveryRecord, Delivery, Engine, FileChange, SourceFile } from '../ports.js'

/** Waits before a failed delivery is tried again, in milliseconds. */
const RETRIES_MS = [100, 1000]

/** What one instance holds of the host's files, as far as devstack knows: its image's Manifest and what was delivered since. */
export interface InstanceCopy {
  readonly instance: Instance
  /** False where the image carries no Manifest: then what is to be deleted is not known. */
  readonly complete: boolean
  /** Every known target with the sha256 it holds; '' where a delivery did not come to its end. */
  readonly held: ReadonlyMap<string, string>
  /** Changes that bring these files level: `gone` are targets that the host has no more. */
  differences(files: readonly SourceFile[], gone: readonly string[]): readonly FileChange[]
  /**
   * Delivers, tries again where that fails, and remembers.
   * @throws DevstackError DELIVERY_FAILED, ENGINE_*
   */
  deliver(changes: readonly FileChange[], signal: AbortSignal): Promise<Delivery>
  /** These ask for a command that has not succeeded yet: the next session delivers them again and runs it. */
  doubt(targets: readonly string[]): Promise<void>
  /** It has. */
  confirm(targets: readonly string[]): Promise<void>
  /** A command in the instance wrote this itself. */
  learn(target: string, sha256: string): Promise<void>
  /** The same instance as it is now: it was started, say. */
  at(instance: Instance): InstanceCopy
}

/** Reads what an instance holds. */
export async function readCopy(
  engine: Pick<Engine, 'manifest' | 'deliver'>,
  record: DeliveryRecord,
  instance: Instance,
  signal: AbortSignal,
): Promise<InstanceCopy> {
  const [manifest, delivered] = await Promise.all([
    engine.manifest(instance, signal),
    record.read(instance.id),
  ])
  const held = new Map(Object.entries(manifest ?? {}))
  for (const [target, sha256] of Object.entries(delivered)) {
    if (sha256 === null) held.delete(target)
    else held.set(target, sha256)
  }
  return new Copy(engine, record, instance, manifest !== null, held)
}

class Copy implements InstanceCopy {
  constructor(
    private readonly engine: Pick<Engine, 'deliver'>,
    private readonly record: DeliveryRecord,
    readonly instance: Instance,
    readonly complete: boolean,
    readonly held: Map<string, string>,
  ) {}

  async doubt(targets: readonly string[]): Promise<void> {
    await this.record.add(this.instance.id, Object.fromEntries(targets.map((target) => [target, ''])))
  }

  async confirm(targets: readonly string[]): Promise<void> {
    const held = targets.map((target) => [target, this.held.get(target) ?? null] as const)
    await this.record.add(this.instance.id, Object.fromEntries(held))
  }

  async learn(target: string, sha256: string): Promise<void> {
    this.held.set(target, sha256)
    await this.record.add(this.instance.id, { [target]: sha256 })
  }

  at(instance: Instance): InstanceCopy {
    return new Copy(this.engine, this.record, instance, this.complete, this.held)
  }

  differences(files: readonly SourceFile[], gone: readonly string[]): readonly FileChange[] {
    const deletes = gone
      .filter((target) => this.held.has(target))
      .map((target): FileChange => ({ type: 'delete', target }))
    const writes = files.flatMap((file): readonly FileChange[] => {
      const { source, target, sha256, mode, link } = file
      if (target === null || this.held.get(target) === sha256) return []
      return [link === null ? { type: 'write', source, target, mode } : { type: 'link', target, to: link }]
    })
    return [...deletes, ...writes]
  }

  async deliver(changes: readonly FileChange[], signal: AbortSignal): Promise<Delivery> {
    // Written down first: whatever happens from here on, what may be in the instance is known to be ours.
    const underWay = Object.fromEntries(changes.map(({ target }) => [target, '']))
    for (const { target } of changes) this.held.set(target, '')
    await this.record.add(this.instance.id, underWay)
    const delivery = await this.retry(changes, signal)
    const failed = new Set(delivery.failed.map(({ target }) => target))
    const done = changes.flatMap((change): readonly (readonly [string, string | null])[] => {
      if (failed.has(change.target)) return []
      return [[change.target, change.type === 'delete' ? null : (delivery.written[change.target] ?? '')]]
    })
    for (const [target, sha256] of done) {
      if (sha256 === null) this.held.delete(target)
      else this.held.set(target, sha256)
    }
    await this.record.add(this.instance.id, Object.fromEntries(done))
    return delivery
  }

  private async retry(changes: readonly FileChange[], signal: AbortSignal): Promise<Delivery> {
    for (const wait of RETRIES_MS) {
      try {
        return await this.engine.deliver(this.instance, changes, signal)
      } catch (error) {
        if (signal.aborted || !(error instanceof DevstackError)) throw error
        await sleep(wait, undefined, { signal })
      }
    }
    return await this.engine.deliver(this.instance, changes, signal)
  }
}
