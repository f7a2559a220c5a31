import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs'
import { basename, dirname, isAbsolute, resolve } from 'node:path'
import { isWithin, ruleFor } from '../../core/update.js'
import type { SourceFile } from '../../orchestrator/ports.js'
import type { Rules } from './rules.js'
import { isUndecodable, lookAt, lookThrough, sameStamp, stampOf } from './stamps.js'

/** What lies at a path. */
export type Found =
  | { readonly type: 'file'; readonly stats: Stats }
  /** Its text, and that it stays within its rule's folder. */
  | { readonly type: 'link'; readonly stats: Stats; readonly to: string }
  | { readonly type: 'folder' }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'gone' }

/**
 * Looks at a covered path without opening it: opening a named pipe would wait for ever. `walked`: the path was come to
 * folder by folder, so that no link leads there.
 */
export function findSource(rules: Rules, path: string, walked: boolean): Found {
  const root = trimSlash(ruleFor(rules.service, path)?.path ?? path)
  // What a rule names may be a link: it is what its user means.
  const stats = path === root ? lookThrough(path) : lookAt(path)
  if (stats === null) return missing(path)
  if (!walked && path !== root && !liesBelow(root, path)) return { type: 'gone' }
  if (stats.isDirectory()) return { type: 'folder' }
  if (stats.isSymbolicLink()) return readLink(root, path, stats)
  if (stats.isFile()) return { type: 'file', stats }
  return { type: 'refused', reason: `it is a ${kindOf(stats)}` }
}

function missing(path: string): Found {
  if (isUndecodable(dirname(path), basename(path)))
    return { type: 'refused', reason: 'its name is not valid UTF-8' }
  try {
    lstatSync(path)
    return { type: 'gone' }
  } catch (error) {
    return failure(error)
  }
}

/** Whether the path leads there without a link on the way: what is behind one is not the rule's. */
function liesBelow(root: string, path: string): boolean {
  try {
    const below = dirname(path).slice(root.length)
    return realpathSync.native(dirname(path)) === realpathSync.native(root) + below
  } catch {
    return false
  }
}

function readLink(root: string, path: string, stats: Stats): Found {
  let to: string
  try {
    to = readlinkSync(path)
  } catch {
    return { type: 'gone' }
  }
  if (isAbsolute(to)) {
    return { type: 'refused', reason: `it is a link to ${to}, which is another place in the container` }
  }
  const end = resolve(dirname(path), to)
  return isWithin(root, end)
    ? { type: 'link', stats, to }
    : { type: 'refused', reason: `it is a link out of ${root}, to ${to}` }
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'named pipe'
  if (stats.isSocket()) return 'socket'
  return 'device'
}

/** A file's content by its hash, and the stat that belongs to it. */
export type Hashed =
  | { readonly type: 'hashed'; readonly sha256: string; readonly stats: Stats }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'gone' }

const CHUNK = 256 * 1024
/** One for all: it is filled and used up without a pause in between. */
let chunk: Buffer | null = null
/** A file that is written all the time is taken as it is after this many tries; its next event brings it again. */
const TRIES = 3

/** Hashes a file piece by piece, with a pause after each. One that changes meanwhile is hashed again. */
export function* hashSteps(path: string, follow: boolean): Generator<void, Hashed> {
  let descriptor: number
  try {
    descriptor = openSync(
      path,
      constants.O_RDONLY | constants.O_NONBLOCK | (follow ? 0 : constants.O_NOFOLLOW),
    )
  } catch (error) {
    return failure(error)
  }
  try {
    for (let tries = 1; ; tries += 1) {
      const before = fstatSync(descriptor)
      if (!before.isFile()) return { type: 'refused', reason: `it is a ${kindOf(before)}` }
      const hash = createHash('sha256')
      for (let at = 0; ;) {
        chunk ??= Buffer.allocUnsafe(CHUNK)
        const length = readSync(descriptor, chunk, 0, CHUNK, at)
        if (length === 0) break
        hash.update(chunk.subarray(0, length))
        at += length
        if (at >= before.size && length < CHUNK) break
        yield
      }
      const stats = fstatSync(descriptor)
      if (tries === TRIES || sameStamp(stampOf(before), stampOf(stats)))
        return { type: 'hashed', sha256: hash.digest('hex'), stats }
    }
  } catch (error) {
    return failure(error)
  } finally {
    closeSync(descriptor)
  }
}

function failure(error: unknown): Extract<Found, { type: 'refused' | 'gone' }> {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return { type: 'gone' }
  return { type: 'refused', reason: `it cannot be read (${code ?? String(error)})` }
}

export function hashLink(to: string): string {
  return createHash('sha256').update(`link:${to}`).digest('hex')
}

export function sourceFile(
  rules: Rules,
  path: string,
  stats: Stats,
  sha256: string,
  link: string | null,
): SourceFile {
  return {
    source: path,
    target: rules.target(path),
    sha256,
    mode: stats.mode & 0o777,
    modifiedMs: stats.mtimeMs,
    link,
  }
}

function trimSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}
