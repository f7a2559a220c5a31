import { relative, resolve } from 'node:path'
import dockerIgnore from '@balena/dockerignore'
import type { WatchRule } from '../../core/project.js'
import { ruleFor } from '../../core/update.js'

/**
 * Tells which files of a build context reach the container by delivery: those that a `sync` or `sync+restart` rule covers
 * and does not ignore. An edit of one of them is no reason to build.
 */
export function deliveredFiles(rules: readonly WatchRule[], context: string): (path: string) => boolean {
  const ignores = new Map(rules.map((rule) => [rule, ignoresOf(rule)]))
  return (path) => {
    const absolute = resolve(context, path)
    const rule = ruleFor({ watch: rules }, absolute)
    if (rule === null || (rule.action !== 'sync' && rule.action !== 'sync+restart')) return false
    return ignores.get(rule)?.(absolute) === false
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
