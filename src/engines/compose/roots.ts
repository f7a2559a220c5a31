import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { projectDirectory } from './sources.js'
import type { ComposeEngineOptions } from './options.js'

/**
 * The folders that belong to the project, the widest first: its git worktree, its own folder, those of its compose files and
 * of what these include.
 */
export function projectRoots(options: ComposeEngineOptions, included: readonly string[]): readonly string[] {
  const folders = [options.folder, projectDirectory(options), ...[...options.files, ...included].map(dirname)]
  const worktrees = folders.map(worktreeOf).filter((folder) => folder !== null)
  return [...new Set([...worktrees, ...folders])]
}

/** A worktree has a folder `.git`, or a file where it is a linked one. */
function worktreeOf(folder: string): string | null {
  for (let here = folder; ; here = dirname(here)) {
    if (existsSync(join(here, '.git'))) return here
    if (here === dirname(here)) return null
  }
}
