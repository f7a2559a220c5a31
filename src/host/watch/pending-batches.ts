import type { SourceBatch } from '../../orchestrator/ports.js'

/** Batches that nobody took yet are one: whoever is slow gets fewer and larger ones, and the last write of each file. */
export class PendingBatches {
  private paths = new Set<string>()
  private settled = false
  private begun = false
  private error: Error | null = null
  private wake: (() => void) | null = null

  /** Watching is in place, which an empty batch tells. */
  begin(): void {
    this.begun = true
    this.wake?.()
  }

  add(batch: SourceBatch): void {
    for (const path of batch.paths) this.paths.add(path)
    this.settled = batch.settled
    this.wake?.()
  }

  fail(error: Error): void {
    this.error = error
    this.wake?.()
  }

  /** The next batch; null when aborted. */
  async next(signal: AbortSignal): Promise<SourceBatch | null> {
    while (!signal.aborted && !this.begun && this.paths.size === 0 && this.error === null) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake)
          this.wake = null
          resolve()
        }
        this.wake = wake
        signal.addEventListener('abort', wake, { once: true })
      })
    }
    if (signal.aborted) return null
    if (this.begun) {
      this.begun = false
      return { paths: [], settled: true }
    }
    if (this.paths.size === 0 && this.error !== null) throw this.error
    const batch = { paths: [...this.paths], settled: this.settled }
    this.paths = new Set()
    return batch
  }
}
