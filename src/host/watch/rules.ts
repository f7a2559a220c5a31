import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Service, WatchRule } from '../../core/project.js'
import { delivers, isMounted, ruleFor, targetOf } from '../../core/update.js'
import { isEditorFile } from '../../core/watch.js'
import { createIgnoreList, type IgnoreList } from './ignore.js'

/** What the host's side needs to know of a service; goes to the worker as it is. */
export type WatchedService = Pick<Service, 'name' | 'watch' | 'binds'> & {
  readonly build: Pick<NonNullable<Service['build']>, 'context' | 'dockerfile'> | null
}

/** A service's rules and ignore lists as one answer, for watching and for hashing. */
export interface Rules {
  readonly service: WatchedService
  /** The folders and files that rules name. */
  readonly roots: readonly string[]
  isRoot(path: string): boolean
  /** Files whose edit changes these rules. */
  readonly ignoreFiles: readonly string[]
  /** Whether a rule covers this file. */
  covers(path: string): boolean
  /** Whether this folder may hold covered files; it is not even watched where not. */
  enters(folder: string): boolean
  /** Where a covered file belongs in the container; null where nothing is delivered. */
  target(path: string): string | null
}

/** An ignore list and the folder that its patterns are relative to. */
interface PlacedList {
  readonly folder: string
  readonly list: IgnoreList
}

export function watchedPart({ name, watch, binds, build }: Service): WatchedService {
  const part = build === null ? null : { context: build.context, dockerfile: build.dockerfile }
  return { name, watch, binds, build: part }
}

/** The files that may hold the ignore list of the service's build context; the first that is there does. */
export function ignoreFilesOf({ build }: Pick<WatchedService, 'build'>): readonly string[] {
  if (build === null) return []
  return [`${build.dockerfile}.dockerignore`, join(build.context, '.dockerignore')]
}

/** Reads the ignore file of the service's build context and compiles everything. */
export function compileRules(service: WatchedService): Rules {
  const { watch, build } = service
  const ignoreFiles = ignoreFilesOf(service)
  const context =
    build === null ? null : { folder: build.context, list: createIgnoreList(readFirst(ignoreFiles)) }
  const own = new Map(watch.map((rule) => [rule, ownLists(rule)]))
  const named = new Set(watch.map((rule) => trimSlash(rule.path)))
  return {
    service,
    roots: [...named],
    isRoot: (path) => named.has(path),
    ignoreFiles,
    covers: (path) => {
      // A file that a rule names is meant, whatever the ignore lists say of it.
      if (named.has(path)) return true
      const rule = ruleFor(service, path)
      if (rule === null || isEditorFile(rule.path, path)) return false
      const { ignore, include } = own.get(rule) as RuleLists
      if (include !== null && !matches(include, path)) return false
      return !matches(ignore, path) && (context === null || !matches(context, path))
    },
    enters: (folder) => {
      if (named.has(folder)) return true
      const rule = ruleFor(service, folder)
      if (rule === null || isEditorFile(rule.path, folder)) return false
      const { ignore, include } = own.get(rule) as RuleLists
      if (include !== null && !matches(include, folder) && !mayMatchBelow(include, folder)) return false
      return mayHold(ignore, folder) && (context === null || mayHold(context, folder))
    },
    target: (path) => {
      const rule = ruleFor(service, path)
      const target = rule !== null && delivers(rule.action) ? targetOf(rule, path) : null
      return target === null || isMounted(service, target) ? null : target
    },
  }
}

interface RuleLists {
  readonly ignore: PlacedList
  readonly include: PlacedList | null
}

function ownLists(rule: WatchRule): RuleLists {
  const folder = trimSlash(rule.path)
  return {
    ignore: { folder, list: createIgnoreList(rule.ignore) },
    include: rule.include.length === 0 ? null : { folder, list: createIgnoreList(rule.include) },
  }
}

function matches({ folder, list }: PlacedList, path: string): boolean {
  const inside = within(folder, path)
  return inside !== null && list.matches(inside)
}

function mayMatchBelow({ folder, list }: PlacedList, path: string): boolean {
  const inside = within(folder, path)
  return inside !== null && list.mayMatchBelow(inside)
}

function mayHold({ folder, list }: PlacedList, path: string): boolean {
  const inside = within(folder, path)
  return inside === null || !list.matches(inside) || list.mayExcept(inside)
}

/** The path as seen from the folder; null where it is the folder itself or elsewhere. */
function within(folder: string, path: string): string | null {
  const start = trimSlash(folder)
  return path.startsWith(`${start}/`) && path.length > start.length + 1 ? path.slice(start.length + 1) : null
}

/** The first file that is there decides alone: the Dockerfile's own ignore file replaces the context's. */
function readFirst(files: readonly string[]): readonly string[] {
  for (const file of files) {
    try {
      return readFileSync(file, 'utf8')
        .replace(/^\uFEFF/, '')
        .split(/\r?\n/)
    } catch {
      // Not there, or not readable: Docker goes on without it too.
    }
  }
  return []
}

function trimSlash(path: string): string {
  return path.endsWith('/') && path !== '/' ? path.slice(0, -1) : path
}
