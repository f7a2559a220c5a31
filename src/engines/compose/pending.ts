import { join } from 'node:path'
import { readIfThere, writeIfChanged } from './state.js'

/** What is to be deleted once a container runs: to delete takes a process in it. Kept on disk, since a session may end before. */
export interface PendingDeletes {
  add(container: string, targets: readonly string[]): Promise<void>
  /** What was written again since. */
  drop(container: string, targets: readonly string[]): Promise<void>
  of(container: string): Promise<readonly string[]>
}

type Kept = Readonly<Record<string, readonly string[]>>

/** @param folder the private state folder; null keeps it in memory only */
export function createPendingDeletes(folder: string | null): PendingDeletes {
  const file = folder === null ? null : join(folder, 'pending-deletes.json')
  let kept: Kept | null = null
  let text: string | null = null
  const read = async (): Promise<Kept> => {
    if (kept !== null) return kept
    text = file === null ? null : await readIfThere(file)
    return (kept ??= parse(text))
  }
  const write = async (container: string, targets: ReadonlySet<string>): Promise<void> => {
    const { [container]: _, ...others } = kept ?? {}
    kept = targets.size === 0 ? others : { ...others, [container]: [...targets] }
    if (file === null) return
    const next = `${JSON.stringify(kept)}\n`
    await writeIfChanged(file, next, text)
    text = next
  }
  return {
    async add(container, targets) {
      const before = (await read())[container] ?? []
      await write(container, new Set([...before, ...targets]))
    },
    async drop(container, targets) {
      const before = (await read())[container]
      if (before === undefined) return
      const gone = new Set(targets)
      await write(container, new Set(before.filter((target) => !gone.has(target))))
    },
    of: async (container) => (await read())[container] ?? [],
  }
}

function parse(text: string | null): Kept {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    if (typeof value !== 'object' || value === null) return {}
    return Object.fromEntries(
      Object.entries(value).filter(
        (entry): entry is [string, string[]] =>
          Array.isArray(entry[1]) && entry[1].every((target) => typeof target === 'string'),
      ),
    )
  } catch {
    // A damaged file costs what waited, not the run: the orchestrator's own record finds the difference.
    return {}
  }
}
