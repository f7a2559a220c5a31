import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { DevstackError } from '../../../core/error.js'
import type { Progress } from '../../../core/events.js'
import type { ImageArchive } from './archive.js'

const ENDING = '.tar.zst'
const UNFINISHED = '.unfinished'
/** Two: checkouts of devstack of different ages take turns without building each time. */
const KEPT = 2
/** Who writes a file touches it all the time; one that rests belongs to a process that was ended. */
const ABANDONED_MS = 15 * 60_000
const CHUNK = 1024 * 1024

/** `$XDG_CACHE_HOME/devstack/node-image` */
export function nodeImageCache(env: Readonly<Record<string, string | undefined>>): string {
  const root = env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache')
  return join(root, 'devstack', 'node-image')
}

export function cacheFile(folder: string, hash: string): string {
  return join(folder, hash + ENDING)
}

/** Size of the file in bytes; null: it is not there. */
export async function cachedSize(file: string): Promise<number | null> {
  return await stat(file).then(
    ({ size }) => size,
    () => null,
  )
}

/** Writes an image into the cache, whole or not at all, and removes what is no longer needed there. */
export async function saveToCache(
  archive: ImageArchive,
  ref: string,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const folder = dirname(file)
  // It is nobody's business what is in a user's cache.
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const unfinished = `${file}.${String(process.pid)}-${String(Date.now())}${UNFINISHED}`
  try {
    const compress = createZstdCompress({
      chunkSize: CHUNK,
      // With its own sum a damaged file is known as such when it is loaded.
      params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    })
    const image = await archive.save(ref, signal)
    const target = createWriteStream(unfinished, { mode: 0o600, highWaterMark: CHUNK, flush: true })
    await pipeline(image, compress, target, { signal })
    await rename(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
  await pruneCache(folder, file)
}

/**
 * Puts the image of a file into the engine.
 * @throws what the engine says where the file is damaged
 */
export async function loadFromCache(
  archive: ImageArchive,
  file: string,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(file)
  let bytes = 0
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      const percent = Math.min(99, Math.floor((bytes / size) * 100))
      const text = 'loading the node image from the cache'
      progress({ text, step: null, steps: null, percent, bytes, totalBytes: size })
      done(null, chunk)
    },
  })
  const source = createReadStream(file, { highWaterMark: CHUNK })
  const piped = pipeline(source, count, { signal })
  try {
    await Promise.all([archive.load(count, signal), piped])
  } finally {
    source.destroy()
    count.destroy()
    await piped.catch(() => undefined)
  }
  const now = new Date()
  await utimes(file, now, now).catch(() => undefined)
}

async function pruneCache(folder: string, newest: string): Promise<void> {
  const files: { readonly path: string; readonly usedMs: number }[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (found === null) continue
    if (name.endsWith(UNFINISHED) && Date.now() - found.mtimeMs > ABANDONED_MS)
      await rm(path, { force: true })
    if (name.endsWith(ENDING) && name !== basename(newest)) files.push({ path, usedMs: found.mtimeMs })
  }
  files.sort((a, b) => b.usedMs - a.usedMs)
  for (const { path } of files.slice(KEPT - 1)) await rm(path, { force: true })
}

/** Full or read-only: the image itself is there, so this stops nothing. */
export function describeSaveFailure(error: unknown, file: string): string {
  const { code, message } = error as { code?: string; message?: string }
  const why =
    code === 'ENOSPC' ? 'the disk is full' : error instanceof DevstackError ? error.message : message
  return `the node image could not be kept in ${file}: ${why ?? String(error)}`
}
