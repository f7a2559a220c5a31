import { relative, resolve, sep } from 'node:path'
import dockerIgnore from '@balena/dockerignore'
import type { WatchRule } from '../../core/project.js'

/**
 * Tells which files of a build context reach the container by delivery: those that a `sync` or `sync+restart` rule covers
 * and does not ignore. An edit of one of them is no reason to build.
 */
export function deliveredFiles(rules: readonly WatchRule[], context: string): (path: string) => boolean {
  const ready = rules.map((rule) => ({ rule, ignores: ignoresOf(rule) }))
  return (path) => {
    const absolute = resolve(context, path)
    const first = ready.find(({ rule }) => absolute === rule.path || absolute.startsWith(rule.path + sep))
    if (first === undefined) return false
    const { rule, ignores } = first
    if (rule.action !== 'sync' && rule.action !== 'sync+restart') return false
    return !ignores(absolute)
  }
}

function ignoresOf(rule: WatchRule): (absolute: string) => boolean {
  if (rule.ignore.length === 0) return () => false
  const filter = dockerIgnore.default().add([...rule.ignore])
  return (absolute) => {
    const path = relative(rule.path, absolute)
    return path !== '' && filter.ignores(path)
  }
}
