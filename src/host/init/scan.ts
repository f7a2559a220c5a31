import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** One folder of the project, as far as it was looked at. */
export interface ScannedFolder {
  /** Relative to the project, with `/`; empty: the project's own folder. */
  readonly path: string
  readonly files: readonly string[]
  /** The texts of those that tell what the folder is. */
  readonly texts: Readonly<Record<string, string>>
}

/** A look, not a search: big projects are looked at only so far. */
const CAPS = { depth: 4, folders: 2000, bytes: 262_144 } as const

const SKIPPED = new Set([
  'node_modules',
  'vendor',
  'venv',
  'dist',
  'build',
  'target',
  'coverage',
  '__pycache__',
  'test',
  'tests',
])

/** Looks through a project's folders. `isTelling` names the files whose text is wanted. Nothing is followed out by a link. */
export async function scanFolders(
  root: string,
  isTelling: (file: string) => boolean,
): Promise<readonly ScannedFolder[]> {
  const found: ScannedFolder[] = []
  const queue: { readonly path: string; readonly depth: number }[] = [{ path: '', depth: 0 }]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { path, depth } = next
    const folder = join(root, path)
    // What cannot be read is not there for us.
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
    const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name)
    const texts = await textsOf(folder, files.filter(isTelling))
    found.push({ path, files: files.sort(), texts })
    const inner = entries.filter(
      (entry) => entry.isDirectory() && !entry.name.startsWith('.') && !SKIPPED.has(entry.name),
    )
    const room = CAPS.folders - found.length - queue.length
    if (depth >= CAPS.depth) continue
    const names = inner.map(({ name }) => name).sort()
    queue.push(
      ...names
        .slice(0, Math.max(room, 0))
        .map((name) => ({ path: path === '' ? name : `${path}/${name}`, depth: depth + 1 })),
    )
  }
  return found
}

async function textsOf(folder: string, files: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const texts = await Promise.all(
    files.map(async (file) => [file, await beginning(join(folder, file))] as const),
  )
  return Object.fromEntries(texts)
}

/** The first bytes of a file: enough to tell what it is. */
async function beginning(file: string): Promise<string> {
  const handle = await open(file).catch(() => null)
  if (handle === null) return ''
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(CAPS.bytes), 0, CAPS.bytes, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    return ''
  } finally {
    await handle.close()
  }
}
