import { readFile } from 'node:fs/promises'
import type { Owner } from './owner.js'

/** One thing to put into a container, by its absolute path there. */
export type Entry =
  | { readonly type: 'folder'; readonly path: string }
  | { readonly type: 'write'; readonly source: string; readonly target: string; readonly mode: number }

/** Files are read when they are packed; `bytes` counts their contents. */
export async function packFiles(
  entries: readonly Entry[],
  owner: Owner,
  signal: AbortSignal,
): Promise<{ readonly tar: Buffer; readonly bytes: number }> {
  // CommonJS: only `default` is there in the bundle, too.
  const { pack } = (await import('tar-stream')).default
  const tar = pack()
  const chunks: Buffer[] = []
  tar.on('data', (chunk) => chunks.push(chunk as Buffer))
  const done = new Promise<void>((resolve, reject) => {
    tar.on('end', () => resolve())
    tar.on('error', reject)
  })
  let bytes = 0
  for (const entry of entries) {
    signal.throwIfAborted()
    if (entry.type === 'folder') {
      tar.entry({ name: `${relative(entry.path)}/`, type: 'directory', mode: 0o755, ...owner })
      continue
    }
    const content = await readFile(entry.source, { signal })
    bytes += content.length
    tar.entry({ name: relative(entry.target), mode: entry.mode & 0o7777, ...owner }, content)
  }
  tar.finalize()
  await done
  return { tar: Buffer.concat(chunks), bytes }
}

function relative(path: string): string {
  return path.slice(1)
}
