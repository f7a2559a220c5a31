import type { Problem, SourcePosition } from './error.js'
import type { WatchAction, WatchRule } from './project.js'
import { didYouMean } from './suggest.js'

/** A rule as it is written, in the words of Compose's `develop.watch`. Nothing in it is trusted yet. */
export interface WatchEntry {
  readonly action?: string
  readonly path?: string
  readonly target?: string
  readonly ignore?: string | readonly string[] | null
  readonly include?: string | readonly string[] | null
  readonly initial_sync?: boolean | null
  readonly exec?: WatchExec | null
}

/** The command of `sync+exec`, in Compose's words and in devstack.yaml's. */
export interface WatchExec {
  readonly command?: string | readonly string[] | null
  readonly user?: string | null
  readonly working_dir?: string | null
  readonly environment?: Readonly<Record<string, string | null>> | readonly string[] | null
}

/** Some rules and where they are written. */
export interface RuleSource {
  readonly entries: readonly WatchEntry[]
  /** Absolute; relative paths of the rules start here. */
  readonly folder: string
  readonly at: (index: number, key: readonly string[]) => SourcePosition | null
}

/** A rule that makes sense, and its place. */
export interface ReadRule {
  readonly rule: WatchRule
  readonly at: SourcePosition | null
}

const actions: readonly string[] = [
  'sync',
  'sync+restart',
  'sync+exec',
  'restart',
  'rebuild',
] satisfies WatchAction[]

function isAction(text: string | undefined): text is WatchAction {
  return text !== undefined && actions.includes(text)
}

/** Reads the rules of one service; each that makes no sense is a problem and is left out. */
export function readRules(
  service: string,
  sources: readonly RuleSource[],
): { readonly rules: readonly ReadRule[]; readonly problems: readonly Problem[] } {
  const rules: ReadRule[] = []
  const problems: Problem[] = []
  for (const source of sources) {
    for (const [index, entry] of source.entries.entries()) {
      const read = readRule(service, entry, source, index)
      if ('rule' in read) rules.push(read)
      else problems.push(read)
    }
  }
  return { rules, problems }
}

function readRule(service: string, entry: WatchEntry, source: RuleSource, index: number): ReadRule | Problem {
  const whole = source.at(index, [])
  const problem = (message: string, key: string, hint: string): Problem => ({
    message: `watch rule ${String(index + 1)} of ${service}: ${message}`,
    at: source.at(index, [key]) ?? whole,
    hint,
  })
  const { action, path, target } = entry
  if (!isAction(action)) {
    return problem(
      action === undefined ? 'no action' : `unknown action "${action}"`,
      'action',
      (action === undefined ? null : didYouMean(action, actions)) ?? `one of ${actions.join(', ')}`,
    )
  }
  if (typeof path !== 'string' || path === '') {
    return problem('no path', 'path', 'name the file or folder to watch, such as ./src')
  }
  const syncs = action.startsWith('sync')
  if (syncs && (target === undefined || target === '')) {
    return problem(
      `${action} without a target`,
      'target',
      `name where ${path} is in the container, such as /app`,
    )
  }
  if (syncs && target?.startsWith('/') !== true) {
    return problem(
      `the target "${target ?? ''}" is not an absolute path`,
      'target',
      `begin it with /, such as /app/${(target ?? '').replace(/^\.\//, '')}`,
    )
  }
  return {
    rule: {
      action,
      path: resolvePath(source.folder, path),
      target: syncs ? resolvePath('/', target ?? '/') : null,
      ignore: toList(entry.ignore),
      include: toList(entry.include),
      initialSync: entry.initial_sync === true,
      exec: null,
      at: whole,
    },
    at: whole,
  }
}

function toList(value: string | readonly string[] | null | undefined): readonly string[] {
  if (value === undefined || value === null) return []
  return typeof value === 'string' ? [value] : value
}

/** Rules of one service that fight: two host folders for one target, or two actions for the same files. */
export function checkRules(service: string, rules: readonly ReadRule[]): readonly Problem[] {
  return rules.flatMap((later, index) =>
    rules.slice(0, index).flatMap((earlier): readonly Problem[] => {
      const message = fight(earlier.rule, later.rule)
      if (message === null) return []
      const line = earlier.at === null ? '' : ` (the other: ${earlier.at.file}:${String(earlier.at.line)})`
      return [
        {
          message: `two watch rules of ${service} fight: ${message}${line}`,
          at: later.at,
          hint: 'keep one of them, or tell them apart with ignore',
        },
      ]
    }),
  )
}

function fight(one: WatchRule, other: WatchRule): string | null {
  const filtered = one.ignore.length + one.include.length + other.ignore.length + other.include.length > 0
  if (one.path === other.path && one.target === other.target && one.action === other.action) {
    return filtered ? null : `${one.action} of ${one.path} is written twice`
  }
  if (filtered) return null
  if (one.path === other.path && one.action !== other.action) {
    return `${one.path} has both ${one.action} and ${other.action}`
  }
  if (one.target !== null && one.target === other.target && one.path !== other.path) {
    return `both ${one.path} and ${other.path} are written to ${one.target}`
  }
  return null
}

/** `path` against an absolute `folder`, without `.` and `..`: what node:path does, but without Node. */
export function resolvePath(folder: string, path: string): string {
  const parts: string[] = []
  for (const part of (path.startsWith('/') ? path : `${folder}/${path}`).split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}
