import { EventEmitter, on } from 'node:events'
import { DevstackError } from '../../core/error.js'
import type { FileBatch, FileWatcher } from '../../orchestrator/ports.js'

/** A burst's changes are gathered until it rests for this long, and at most for the second figure. */
const REST_MS = 100
const LONGEST_MS = 2000

/** File events by chokidar. The first change of a quiet time goes out at once; a burst is gathered behind it. */
export function createFileWatcher(): FileWatcher {
  return {
    async *watch(roots, ignored, signal) {
      const { watch } = await import('chokidar')
      const batches = new EventEmitter<{ batch: [FileBatch] }>()
      const batcher = new Batcher((batch) => batches.emit('batch', batch))
      const watcher = watch([...roots], {
        ignoreInitial: true,
        followSymlinks: false,
        ignored: (path) => ignored(path),
      })
      const failed = new AbortController()
      watcher.on('all', (event, path) => {
        if (event === 'add' || event === 'change' || event === 'unlink') batcher.add(path)
      })
      watcher.on('error', (error) => failed.abort(watchError(error)))
      const stop = AbortSignal.any([signal, failed.signal])
      try {
        for await (const [batch] of on(batches, 'batch', { signal: stop })) yield batch as FileBatch
      } catch (error) {
        if (failed.signal.aborted) throw failed.signal.reason
        if (!signal.aborted) throw error
      } finally {
        batcher.close()
        await watcher.close()
      }
    },
  }
}

/** Leading edge, then gathered: the timing of {@link createFileWatcher}. */
class Batcher {
  private readonly paths = new Set<string>()
  private rest: NodeJS.Timeout | null = null
  private longest: NodeJS.Timeout | null = null

  constructor(private readonly publish: (batch: FileBatch) => void) {}

  add(path: string): void {
    if (this.rest === null) {
      this.publish([path])
    } else {
      this.paths.add(path)
      clearTimeout(this.rest)
      this.longest ??= setTimeout(() => this.settle(), LONGEST_MS)
    }
    this.rest = setTimeout(() => this.settle(), REST_MS)
  }

  close(): void {
    if (this.rest !== null) clearTimeout(this.rest)
    if (this.longest !== null) clearTimeout(this.longest)
    this.rest = null
    this.longest = null
  }

  private settle(): void {
    this.close()
    if (this.paths.size === 0) return
    const batch = [...this.paths]
    this.paths.clear()
    this.publish(batch)
  }
}

function watchError(error: unknown): DevstackError {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EMFILE') {
    return new DevstackError('OPERATION_FAILED', 'the system allows no more file watches', {
      cause: `${code}: fs.inotify.max_user_watches is reached`,
      hint: 'sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024',
    })
  }
  return new DevstackError('OPERATION_FAILED', 'file watching failed', { cause: String(error) })
}
