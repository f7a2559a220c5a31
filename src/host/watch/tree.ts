import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { lstat, readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import dockerignore from '@balena/dockerignore'
import type { Service } from '../../core/project.js'
import { delivers, ruleFor, targetOf } from '../../core/update.js'
import type { SourceFile, SourceTree } from '../../orchestrator/ports.js'

interface Filter {
  readonly root: string
  readonly matches: (path: string) => boolean
}

/** The package is CommonJS without a `default` of its own: its types say otherwise. */
const createIgnore = dockerignore as unknown as typeof dockerignore.default

/** Editors' own temporary files, which no build context wants: as `docker compose watch` leaves them out. */
const EDITOR_FILES = ['**/.git', '**/*.swp', '**/*.swx', '**/*~', '**/.#*', '**/4913', '**/___jb_*___']

/** Reads the host's files for `sync` rules. Symbolic links are not followed: they are left out. */
export function createSourceTree(): SourceTree {
  const filters = new WeakMap<Service, readonly Filter[]>()
  const filtersOf = (service: Service): readonly Filter[] => {
    const known = filters.get(service)
    if (known !== undefined) return known
    const made = makeFilters(service)
    filters.set(service, made)
    return made
  }
  const ignored = (service: Service, path: string): boolean =>
    filtersOf(service).some((filter) => filter.matches(path))

  return {
    ignored,
    async scan(service, paths, signal) {
      const roots = service.watch.filter((rule) => delivers(rule.action)).map((rule) => rule.path)
      const files: SourceFile[] = []
      for (const path of paths ?? roots) {
        for await (const source of walk(path, (candidate) => ignored(service, candidate))) {
          signal.throwIfAborted()
          const file = await readSource(service, source)
          if (file !== null) files.push(file)
        }
      }
      return [...new Map(files.map((file) => [file.target, file])).values()]
    },
  }
}

async function* walk(path: string, ignored: (path: string) => boolean): AsyncGenerator<string> {
  const stat = await lstat(path).catch(() => null)
  if (stat === null || ignored(path)) return
  if (stat.isFile()) yield path
  if (!stat.isDirectory()) return
  const entries = await readdir(path).catch(() => [])
  for (const entry of entries) yield* walk(join(path, entry), ignored)
}

async function readSource(service: Service, source: string): Promise<SourceFile | null> {
  const rule = ruleFor(service, source)
  const target = rule === null ? null : targetOf(rule, source)
  if (rule === null || target === null || !delivers(rule.action)) return null
  try {
    const [stat, bytes] = await Promise.all([lstat(source), readFile(source)])
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return { source, target, sha256, mode: stat.mode & 0o777 }
  } catch {
    // Gone since it was listed: the next batch says so.
    return null
  }
}

function makeFilters(service: Service): readonly Filter[] {
  const filters = service.watch.map((rule) => makeFilter(rule.path, [...EDITOR_FILES, ...rule.ignore]))
  if (service.build === null) return filters
  const patterns =
    readPatterns(`${service.build.dockerfile}.dockerignore`) ??
    readPatterns(join(service.build.context, '.dockerignore'))
  return [...filters, makeFilter(service.build.context, patterns ?? [])]
}

function makeFilter(root: string, patterns: readonly string[]): Filter {
  const matcher = createIgnore({ ignorecase: false }).add([...patterns])
  return {
    root,
    matches: (path) => {
      const inside = relative(root, path)
      return inside !== '' && !inside.startsWith('..') && matcher.ignores(inside)
    },
  }
}

function readPatterns(path: string): readonly string[] | null {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/)
  } catch {
    return null
  }
}
