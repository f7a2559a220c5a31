import { relative, resolve } from 'node:path'
import dockerIgnore from '@balena/dockerignore'
import type { Service, WatchRule } from '../../core/project.js'
import { mountedBy, ruleFor } from '../../core/update.js'
import { isEditorFile } from '../../core/watch.js'

/** The rules of a service, as far as they say what reaches its containers by delivery. */
export type WatchedService = Pick<Service, 'watch' | 'binds'>

/**
 * Tells by which rule a file reaches the container; null where none delivers it: it is ignored, not included, or seen through
 * a bind mount.
 */
export function deliveringRule(service: WatchedService): (absolute: string) => WatchRule | null {
  const filters = new Map(service.watch.map((rule) => [rule, filterOf(rule)]))
  const mounted = new Set(service.watch.filter((rule) => mountedBy(service, rule) !== null))
  return (absolute) => {
    const rule = ruleFor(service, absolute)
    if (rule === null || rule.target === null || mounted.has(rule)) return null
    return filters.get(rule)?.(absolute) === true ? rule : null
  }
}

/**
 * Tells which files of a build context reach the container by `sync` or `sync+restart`: an edit of one of them is no reason
 * to build. What `sync+exec` delivers is one: its command may have installed what the image does not have.
 */
export function deliveredFiles(service: WatchedService, context: string): (path: string) => boolean {
  const delivering = deliveringRule(service)
  return (path) => {
    const action = delivering(resolve(context, path))?.action
    return action === 'sync' || action === 'sync+restart'
  }
}

/** A file that a rule names itself is meant, whatever its patterns say. */
function filterOf({ path: root, ignore, include }: WatchRule): (absolute: string) => boolean {
  const ignored = matcher(ignore)
  const included = matcher(include)
  return (absolute) => {
    const path = relative(root, absolute)
    if (path === '') return true
    if (isEditorFile(root, absolute)) return false
    return (included === null || included(path)) && ignored?.(path) !== true
  }
}

function matcher(patterns: readonly string[]): ((path: string) => boolean) | null {
  if (patterns.length === 0) return null
  const sound = patterns.map((pattern) => pattern.trim()).filter(isSound)
  const filter = createFilter().add(sound)
  return (path) => filter.ignores(path)
}

/** Not a comment, and a pattern that can be compiled: the others match nothing, as where the host watches. */
function isSound(pattern: string): boolean {
  if (pattern === '' || pattern.startsWith('#') || pattern === '!') return false
  try {
    createFilter().add([pattern]).ignores('name')
    return true
  } catch {
    return false
  }
}

/** As Docker: `Readme` and `README` are two names. */
function createFilter() {
  return dockerIgnore.default({ ignorecase: false })
}
