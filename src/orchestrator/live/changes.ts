import type { UpdateRule } from '../../core/events.js'
import type { Service, WatchAction, WatchCommand, WatchRule } from '../../core/project.js'
import { delivers, isWithin, mountedBy, ruleFor, strongest, targetOf } from '../../core/update.js'
import type { SourceFile, SourceScan } from '../ports.js'
import type { InstanceCopy } from './instance-copy.js'

/** A command that has to run after a delivery. */
export interface DueCommand {
  readonly command: WatchCommand
  /** A preset's installation that fails in the container may still work in a build; a user's own command waits for a save. */
  readonly elseRebuild: boolean
  /** The changed files that ask for it, by target. */
  readonly targets: readonly string[]
}

/** What a look at the host found to be really another content than what is in the instances, or than it was. */
export interface Changes {
  /** Absolute paths on the host. */
  readonly files: readonly string[]
  /** Files to bring into instances that hold other ones. */
  readonly present: readonly SourceFile[]
  /** Targets that the host has no more. */
  readonly gone: readonly string[]
  /** Targets that instances see through a bind mount: nothing to deliver, but their processes have to take them up. */
  readonly mounted: { readonly written: readonly string[]; readonly deleted: readonly string[] }
  readonly action: WatchAction
  readonly rules: readonly UpdateRule[]
  /** What their `sync+exec` rules run. */
  readonly commands: readonly DueCommand[]
  readonly savedAt: string | null
}

/** The host's content of files that reach no instance by delivery: path -> sha256. */
export type HostHashes = Map<string, string>

/** Compares by content: a touch, a chmod, a save of the same bytes is no change. Null where there is none. */
export function findChanges(
  service: Service,
  scan: SourceScan,
  copies: readonly InstanceCopy[],
  hashes: HostHashes,
): Changes | null {
  const present = scan.files.filter(
    ({ target, sha256 }) => target !== null && copies.some(({ held }) => held.get(target) !== sha256),
  )
  const there = new Set(scan.files.map(({ target }) => target))
  const goneTargets = [
    ...scan.gone.flatMap((path) => heldBelow(service, path, copies)),
    ...inTheWay(service, present, copies),
  ].filter(
    ({ path, target }) => !there.has(target) && !scan.refused.some((refused) => isWithin(refused.path, path)),
  )
  const others = scan.files.filter(
    ({ source, target, sha256 }) => target === null && hashes.get(source) !== sha256,
  )
  const othersGone = scan.gone.flatMap((path) => [...hashes.keys()].filter((known) => isWithin(path, known)))
  for (const { source, sha256 } of others) hashes.set(source, sha256)
  for (const path of othersGone) hashes.delete(path)
  const files = [
    ...present.map(({ source }) => source),
    ...goneTargets.map(({ path }) => path),
    ...others.map(({ source }) => source),
    ...othersGone,
  ]
  if (files.length === 0) return null
  const mounted = {
    written: others.flatMap(({ source }) => mountedTarget(service, source)),
    deleted: othersGone.flatMap((path) => mountedTarget(service, path)),
  }
  const gone = [...new Set(goneTargets.map(({ target }) => target))]
  const changed = [...present, ...others]
  const newest = Math.max(...changed.map(({ modifiedMs }) => modifiedMs))
  const savedAt = changed.length === 0 ? null : new Date(newest).toISOString()
  return { ...ruled(service, [...new Set(files)]), present, gone, mounted, savedAt }
}

/** Which rules the files fall under, and what these ask for together. */
function ruled(
  service: Service,
  files: readonly string[],
): Pick<Changes, 'files' | 'action' | 'rules' | 'commands'> {
  const counts = new Map<WatchRule, number>()
  for (const file of files) {
    const rule = ruleFor(service, file)
    if (rule !== null) counts.set(rule, (counts.get(rule) ?? 0) + 1)
  }
  const rules = [...counts.keys()]
  const action = strongest(rules.map((rule) => rule.action)) ?? 'sync'
  const targetsOf = (rule: WatchRule): readonly string[] =>
    files.flatMap((file) => (ruleFor(service, file) === rule ? (targetOf(rule, file) ?? []) : []))
  const told = [...counts].map(([rule, count]): UpdateRule => {
    return { action: rule.action, path: rule.path, at: rule.at, files: count }
  })
  return {
    files,
    action,
    rules: told.toSorted((a, b) => Number(b.action === action) - Number(a.action === action)),
    commands: rules.flatMap((rule) => {
      const { exec, at } = rule
      return exec === null ? [] : [{ command: exec, elseRebuild: at === null, targets: targetsOf(rule) }]
    }),
  }
}

/** A path that is gone may have been a folder: everything that instances hold below it. */
function heldBelow(
  service: Service,
  path: string,
  copies: readonly InstanceCopy[],
): readonly { readonly path: string; readonly target: string }[] {
  const rule = ruleFor(service, path)
  const target = rule === null ? null : targetOf(rule, path)
  if (rule === null || target === null || !delivers(rule.action)) return []
  const held = new Set<string>()
  for (const copy of copies) {
    if (copy.held.has(target)) held.add(target)
    else for (const known of copy.held.keys()) if (isWithin(target, known)) held.add(known)
  }
  return [...held].map((known) => ({ path: path + known.slice(target.length), target: known }))
}

/** A file where a folder is wanted now, and what is in a folder where a file is wanted. */
function inTheWay(
  service: Service,
  present: readonly SourceFile[],
  copies: readonly InstanceCopy[],
): readonly { readonly path: string; readonly target: string }[] {
  const fresh = present.filter(
    ({ target }) => target !== null && copies.some(({ held }) => !held.has(target)),
  )
  if (fresh.length === 0) return []
  const held = new Set(copies.flatMap((copy) => [...copy.held.keys()]))
  const folders = new Set([...held].flatMap(ancestors))
  const found = fresh.flatMap(({ target }) => {
    if (target === null) return []
    const below = folders.has(target) ? [...held].filter((known) => known.startsWith(`${target}/`)) : []
    return [...ancestors(target).filter((folder) => held.has(folder)), ...below]
  })
  return [...new Set(found)].flatMap((target) => {
    const path = hostPathOf(service, target)
    return path === null ? [] : [{ path, target }]
  })
}

function ancestors(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.slice(2).map((_, index) => parts.slice(0, index + 2).join('/'))
}

function mountedTarget(service: Service, path: string): readonly string[] {
  const rule = ruleFor(service, path)
  if (rule === null || !delivers(rule.action) || mountedBy(service, rule) === null) return []
  return [targetOf(rule, path) ?? []].flat()
}

/** The host's file that a path in the container comes from, or null. */
export function hostPathOf(service: Service, target: string): string | null {
  let best: WatchRule | null = null
  for (const rule of service.watch) {
    if (rule.target === null || !isWithin(rule.target, target)) continue
    if (best === null || rule.target.length > (best.target?.length ?? 0)) best = rule
  }
  return best === null ? null : best.path + target.slice((best.target ?? '').length)
}

/** `a.py, b.py and 3 more`. */
export function describe(files: readonly string[]): string {
  const names = files.slice(0, 2).map((file) => file.split('/').at(-1) ?? file)
  return files.length > 2 ? `${names.join(', ')} and ${String(files.length - 2)} more` : names.join(', ')
}
