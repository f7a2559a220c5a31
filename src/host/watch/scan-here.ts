import type { SourceFile, SourceScan } from '../../orchestrator/ports.js'
import type { Noted } from './messages.js'
import { findSource, hashLink, hashSteps, sourceFile, type Found } from './read-source.js'
import type { Rules } from './rules.js'
import { stampOf } from './stamps.js'

/** A save: a file, or a few. */
const MOST_PATHS = 16
/** As much as is read and hashed in about a millisecond. */
const MOST_BYTES = 512 * 1024

export interface ScanHere {
  readonly scan: SourceScan
  readonly noted: readonly Noted[]
}

/** Reads a few small files without waiting for another thread; null where it is more than that. */
export function scanHere(rules: Rules, paths: readonly string[]): ScanHere | null {
  if (paths.length > MOST_PATHS) return null
  const wanted = [...new Set(paths)].filter((path) => rules.covers(path) || rules.enters(path))
  const found = wanted
    .map((path) => ({ path, found: findSource(rules, path, false) }))
    // What is only entered may hold covered files, or may have held some; itself it is none.
    .filter(({ path, found: { type } }) => type === 'folder' || type === 'gone' || rules.covers(path))
  if (found.some(({ found: { type } }) => type === 'folder')) return null
  const bytes = found.reduce((sum, { found }) => sum + (found.type === 'file' ? found.stats.size : 0), 0)
  if (bytes > MOST_BYTES) return null

  const files: SourceFile[] = []
  const gone: string[] = []
  const refused: { readonly path: string; readonly reason: string }[] = []
  const noted: Noted[] = []
  for (const { path, found: what } of found) {
    const outcome = readHere(rules, path, what)
    if (outcome.type === 'large') return null
    if (outcome.type === 'gone') gone.push(path)
    if (outcome.type === 'refused') refused.push({ path, reason: outcome.reason })
    if (outcome.type === 'read') files.push(outcome.file)
    if (outcome.type === 'read') noted.push({ path, stamp: outcome.stamp })
    if (outcome.type === 'gone') noted.push({ path, stamp: null })
  }
  return { scan: { files, gone, refused }, noted }
}

type Outcome =
  | { readonly type: 'read'; readonly file: SourceFile; readonly stamp: ReturnType<typeof stampOf> }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'gone' }
  /** It grew while it was read. */
  | { readonly type: 'large' }

function readHere(rules: Rules, path: string, found: Found): Outcome {
  switch (found.type) {
    case 'file': {
      const hashed = hashHere(path, rules.isRoot(path))
      if (hashed === null) return { type: 'large' }
      if (hashed.type !== 'hashed') return hashed
      const file = sourceFile(rules, path, hashed.stats, hashed.sha256, null)
      return { type: 'read', file, stamp: stampOf(hashed.stats) }
    }
    case 'link': {
      const file = sourceFile(rules, path, found.stats, hashLink(found.to), found.to)
      return { type: 'read', file, stamp: stampOf(found.stats) }
    }
    case 'folder':
    case 'gone':
      return { type: 'gone' }
    case 'refused':
      return found
    default:
      return found satisfies never
  }
}

function hashHere(path: string, follow: boolean) {
  const steps = hashSteps(path, follow)
  for (let pieces = 0; pieces < 8; pieces += 1) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
  // Left lying it would keep the file open.
  steps.return({ type: 'gone' })
  return null
}
