import type { Dirent } from 'node:fs'
import { join } from './file-table.js'
import { lookAt, lookThrough, readFolder, type Breath } from './stamps.js'

/** Where a walk goes. */
export interface Scope {
  readonly roots: readonly string[]
  isRoot(path: string): boolean
  enters(folder: string): boolean
}

export interface Visitor {
  /** Before the folder is read. */
  entering?(folder: string): void
  /** The folder's entries that are no folders; null where it cannot be read. */
  files(folder: string, names: readonly string[] | null): void
  /** A root that is no folder: a file, or nothing. */
  root?(path: string): void
}

/** Walks every root of the scope. A root below another one is visited once. */
export async function walkRoots(scope: Scope, visitor: Visitor, breath: Breath): Promise<void> {
  for (const root of scope.roots) await walkRoot(scope, root, visitor, breath)
}

export async function walkRoot(scope: Scope, root: string, visitor: Visitor, breath: Breath): Promise<void> {
  visitor.root?.(root)
  if (lookThrough(root)?.isDirectory() === true) await walkFolder(scope, root, visitor, breath)
}

/** Walks a folder and those below it that the scope enters; other roots are left to their own walk. */
export async function walkFolder(
  scope: Scope,
  folder: string,
  visitor: Visitor,
  breath: Breath,
): Promise<void> {
  visitor.entering?.(folder)
  const entries = readFolder(folder)
  if (entries === null) {
    visitor.files(folder, null)
    return
  }
  const folders: string[] = []
  const names: string[] = []
  for (const entry of entries) (isFolder(folder, entry) ? folders : names).push(entry.name)
  visitor.files(folder, names)
  const pause = breath.take()
  if (pause !== null) await pause
  for (const name of folders) {
    const path = join(folder, name)
    if (!scope.isRoot(path) && scope.enters(path)) await walkFolder(scope, path, visitor, breath)
  }
}

/** Some file systems do not say in their listing what an entry is. */
function isFolder(folder: string, entry: Dirent): boolean {
  const known = entry.isFile() || entry.isDirectory() || entry.isSymbolicLink()
  return known ? entry.isDirectory() : (lookAt(join(folder, entry.name))?.isDirectory() ?? false)
}
