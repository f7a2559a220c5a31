import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import dockerIgnore from '@balena/dockerignore'
import type { Manifest } from './manifest.js'

/** Open files at a time: enough to keep a disk busy, far from any limit. */
const CONCURRENCY = 16

export interface ContextRequest {
  /** Absolute path. */
  readonly folder: string
  /** Absolute path; its own ignore file comes before the folder's. Null for an inline Dockerfile. */
  readonly dockerfile: string | null
  readonly signal: AbortSignal
}

/** Hashes what the engine would be sent: every file and link of the folder that the ignore file lets through. */
export async function readManifest(request: ContextRequest): Promise<Manifest> {
  const { folder, signal } = request
  const ignores = await readIgnore(folder, request.dockerfile)
  const paths = await listContext(folder, ignores, signal)
  const entries: [string, string][] = []
  const rest = paths.values()
  const work = async (): Promise<void> => {
    for (const { path, link } of rest) {
      signal.throwIfAborted()
      const hash = await hashEntry(join(folder, path), link, signal)
      // A file that went away since it was listed is no longer part of the context.
      if (hash !== null) entries.push([path, hash])
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

interface Ignores {
  readonly ignored: (path: string) => boolean
  /** A rule with `!` may bring back what is below an ignored folder. */
  readonly hasExceptions: boolean
}

async function readIgnore(folder: string, dockerfile: string | null): Promise<Ignores> {
  const own = dockerfile === null ? null : await readText(`${dockerfile}.dockerignore`)
  const text = own ?? (await readText(join(folder, '.dockerignore'))) ?? ''
  const filter = dockerIgnore.default({ ignorecase: false }).add(text)
  return { ignored: (path) => filter.ignores(path), hasExceptions: /^\s*!/m.test(text) }
}

async function readText(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null)
}

interface ContextEntry {
  readonly path: string
  readonly link: boolean
}

async function listContext(
  folder: string,
  ignores: Ignores,
  signal: AbortSignal,
): Promise<readonly ContextEntry[]> {
  const found: ContextEntry[] = []
  const visit = async (below: string): Promise<void> => {
    signal.throwIfAborted()
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      const ignored = ignores.ignored(path)
      if (entry.isDirectory()) {
        if (!ignored || ignores.hasExceptions) await visit(path)
      } else if (!ignored && (entry.isFile() || entry.isSymbolicLink())) {
        found.push({ path, link: entry.isSymbolicLink() })
      }
    }
  }
  await visit('')
  return found
}

async function hashEntry(path: string, link: boolean, signal: AbortSignal): Promise<string | null> {
  const hash = createHash('sha256')
  try {
    if (link) hash.update(`link:${await readlink(path)}`)
    else await hashFile(path, hash, signal)
    return hash.digest('hex')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

// The signal is looked at for each piece: a listener for each open file would be dozens.
async function hashFile(path: string, hash: Hash, signal: AbortSignal): Promise<void> {
  for await (const chunk of createReadStream(path)) {
    signal.throwIfAborted()
    hash.update(chunk as Buffer)
  }
}
