import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { Stats } from 'node:fs'
import type { Header, Pack } from 'tar-stream'
import type { Delivery } from '../../orchestrator/ports.js'
import type { Owner } from './owner.js'

/** One thing to put into a container, by its absolute path there. */
export type Entry =
  | { readonly type: 'folder'; readonly path: string }
  | { readonly type: 'write'; readonly source: string; readonly target: string; readonly mode: number }
  | { readonly type: 'link'; readonly target: string; readonly to: string }

type FileHeader = Partial<Header> & Pick<Header, 'name'>

export interface PackOptions {
  /** The folder that the archive will be unpacked in. */
  readonly base: string
  readonly owner: Owner
  /** Sources that may be links: what a rule names itself is what its user means. */
  readonly named: ReadonlySet<string>
  /** The modification time that a target gets, in milliseconds, from the one its source has; null: a link or a folder. */
  readonly timeOf: (target: string, sourceMs: number | null) => number
  readonly signal: AbortSignal
}

/** An archive that is read while it is sent. */
export interface PackedFiles {
  readonly chunks: AsyncIterable<Buffer>
  /** Whole once `chunks` has ended. */
  readonly result: Delivery
}

/** Pieces are gathered to this size: thousands of small files are no thousands of writes. */
const BLOCK = 64 * 1024
/** A larger file is streamed. */
const LARGEST_WHOLE = 1024 * 1024
/** What tar's own eight bytes hold; more goes into an extended header. */
const LARGEST_ID = 0o777_777

/**
 * Packs files as they are at the moment they are read. What cannot be read is left out and named in the result; a file that
 * grows or shrinks while it is sent is cut or filled up, so that those after it are right, and named too.
 */
export async function packFiles(entries: readonly Entry[], options: PackOptions): Promise<PackedFiles> {
  // CommonJS: only `default` is there in the bundle, too.
  const { pack } = (await import('tar-stream')).default
  const result = { bytes: 0, written: {}, failed: [] }
  return { chunks: gather(pieces(pack(), entries, options, result)), result }
}

interface Result {
  bytes: number
  readonly written: Record<string, string>
  readonly failed: { readonly target: string; readonly cause: string }[]
}

async function* gather(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block: Buffer[] = []
  let size = 0
  for await (const piece of source) {
    block.push(piece)
    size += piece.length
    if (size < BLOCK) continue
    yield block.length === 1 ? piece : Buffer.concat(block)
    block = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(block)
}

async function* pieces(
  tar: Pack,
  entries: readonly Entry[],
  options: PackOptions,
  result: Result,
): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    options.signal.throwIfAborted()
    if (entry.type === 'write') {
      yield* packFile(tar, entry, options, result)
      continue
    }
    const header =
      entry.type === 'folder'
        ? ({ name: `${nameIn(options.base, entry.path)}/`, type: 'directory', mode: 0o755 } as const)
        : ({
            name: nameIn(options.base, entry.target),
            type: 'symlink',
            mode: 0o777,
            linkname: entry.to,
          } as const)
    const time = options.timeOf(entry.type === 'folder' ? entry.path : entry.target, null)
    tar.entry({ ...header, ...about(options.owner, time) })
    if (entry.type === 'link') result.written[entry.target] = sha256(`link:${entry.to}`)
    yield* taken(tar)
  }
  tar.finalize()
  yield* taken(tar)
}

/**
 * Reads synchronously: a file costs 15 microseconds so, and 150 by way of the thread pool; between blocks everybody else has
 * a turn, since the connection takes only so much at once.
 */
async function* packFile(
  tar: Pack,
  entry: Extract<Entry, { type: 'write' }>,
  options: PackOptions,
  result: Result,
): AsyncGenerator<Buffer> {
  const opened = open(entry.source, options.named.has(entry.source))
  if ('cause' in opened) {
    result.failed.push({ target: entry.target, cause: opened.cause })
    return
  }
  const { file, stats } = opened
  try {
    const header = {
      name: nameIn(options.base, entry.target),
      mode: entry.mode & 0o7777,
      ...about(options.owner, options.timeOf(entry.target, stats.mtimeMs)),
    }
    if (stats.size > LARGEST_WHOLE) yield* packLarge(tar, header, entry, opened, result)
    else {
      const content = readWhole(file, stats.size)
      result.bytes += content.length
      result.written[entry.target] = sha256(content)
      tar.entry(header, content)
      yield* taken(tar)
    }
  } catch (error) {
    // Only reading fails here, and before anything of the file is packed.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    result.failed.push({ target: entry.target, cause: causeOf(error) })
  } finally {
    closeSync(file)
  }
}

type Opened = { readonly file: number; readonly stats: Stats } | { readonly cause: string }

/** Without waiting for the other end of a pipe. */
function open(path: string, follow: boolean): Opened {
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
    const file = openSync(path, O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW))
    const stats = fstatSync(file)
    if (stats.isFile()) return { file, stats }
    closeSync(file)
    return { cause: stats.isDirectory() ? 'it is a folder now' : 'it is no plain file' }
  } catch (error) {
    return { cause: causeOf(error) }
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'it is gone',
  ENOTDIR: 'it is gone',
  ELOOP: 'it is a symbolic link now',
  EACCES: 'it may not be read (EACCES)',
  EPERM: 'it may not be read (EPERM)',
  ENXIO: 'it is no plain file',
}

function causeOf(error: unknown): string {
  const { code = 'unknown' } = error as NodeJS.ErrnoException
  return CAUSES[code] ?? `it cannot be read (${code})`
}

/** To its end, also where it has grown since its size was asked. */
function readWhole(file: number, size: number): Buffer {
  // One more byte tells the end without another call.
  let content = Buffer.allocUnsafe(size + 1)
  let length = 0
  for (;;) {
    const read = readSync(file, content, length, content.length - length, null)
    if (read === 0) return content.subarray(0, length)
    length += read
    if (length < content.length) continue
    content = Buffer.concat([content, Buffer.allocUnsafe(content.length + BLOCK)])
  }
}

async function* packLarge(
  tar: Pack,
  header: FileHeader,
  entry: Extract<Entry, { type: 'write' }>,
  { file, stats }: { readonly file: number; readonly stats: Stats },
  result: Result,
): AsyncGenerator<Buffer> {
  const { size } = stats
  const sink = tar.entry({ ...header, size })
  const hash = createHash('sha256')
  let sent = 0
  let cause: string | null = null
  while (sent < size) {
    const piece = Buffer.alloc(Math.min(BLOCK, size - sent))
    const read: Piece = cause === null ? readPiece(file, piece) : { length: 0, cause }
    if (read.length < piece.length) cause = read.cause ?? cause
    const used = read.length === 0 ? piece : piece.subarray(0, read.length)
    if (read.length === 0) cause ??= 'it shrank while it was read'
    hash.update(used)
    sent += used.length
    sink.write(used)
    yield* taken(tar)
  }
  sink.end(null)
  // The end of an entry is told in the next turn.
  await new Promise<void>((resolve) => setImmediate(resolve))
  yield* taken(tar)
  result.bytes += sent
  const after = fstatSync(file)
  if (after.size !== size || after.mtimeMs !== stats.mtimeMs) cause ??= 'it changed while it was read'
  if (cause === null) result.written[entry.target] = hash.digest('hex')
  else result.failed.push({ target: entry.target, cause })
}

interface Piece {
  readonly length: number
  readonly cause: string | null
}

function readPiece(file: number, piece: Buffer): Piece {
  try {
    return { length: readSync(file, piece, 0, piece.length, null), cause: null }
  } catch (error) {
    return { length: 0, cause: causeOf(error) }
  }
}

function nameIn(base: string, path: string): string {
  return path.slice(base === '/' ? 1 : base.length + 1)
}

/** Sub-second times and large numbers need an extended header. */
function about({ uid, gid }: Owner, timeMs: number): Partial<Header> {
  const pax: Record<string, string> = { mtime: (timeMs / 1000).toFixed(6) }
  if (uid > LARGEST_ID) pax['uid'] = String(uid)
  if (gid > LARGEST_ID) pax['gid'] = String(gid)
  return { uid, gid, mtime: new Date(timeMs), pax }
}

/** What the packer holds by now. */
function* taken(tar: Pack): Generator<Buffer> {
  for (;;) {
    const piece = tar.read() as Buffer | null
    if (piece === null) return
    yield piece
  }
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
