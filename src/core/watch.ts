import type { Problem, SourcePosition } from './error.js'
import type { BindMount, WatchAction, WatchCommand, WatchRule } from './project.js'
import { didYouMean } from './suggest.js'
import { isWithin, mountedBy } from './update.js'
import { splitWords } from './words.js'

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

type Value = string | number | boolean | null

/** The command of `sync+exec`, in Compose's words and in devstack.yaml's. */
export interface WatchExec {
  readonly command?: string | readonly string[] | null
  readonly user?: string | null
  readonly working_dir?: string | null
  readonly environment?: Readonly<Record<string, Value>> | readonly string[] | null
}

/** Some rules and where they are written. */
export interface RuleSource {
  readonly entries: readonly WatchEntry[]
  /** Absolute; relative paths of the rules start here. */
  readonly folder: string
  readonly at: (index: number, key: readonly string[]) => SourcePosition | null
}

/** What the rules of a service are checked against. */
export interface RuleContext {
  readonly service: string
  readonly binds: readonly BindMount[]
  /** Absolute paths of the folders that belong to the project. */
  readonly roots: readonly string[]
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
  context: RuleContext,
  sources: readonly RuleSource[],
): {
  readonly rules: readonly WatchRule[]
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
} {
  const rules: WatchRule[] = []
  const problems: Problem[] = []
  const warnings: Problem[] = []
  for (const source of sources) {
    for (const [index, entry] of source.entries.entries()) {
      const tell: Tell = (message, key, hint) => ({
        message: `watch rule ${String(index + 1)} of ${context.service}: ${message}`,
        at: source.at(index, [key]) ?? source.at(index, []),
        hint,
      })
      const read = readRule(context, entry, source, index, tell)
      if ('message' in read) problems.push(read)
      else rules.push(read)
      // Compose prints one without a command for every rule.
      const hasCommand = entry.exec?.command != null
      if (hasCommand && entry.action !== 'sync+exec' && !('message' in read))
        warnings.push(
          tell(`exec does nothing with ${read.action}`, 'exec', 'write sync+exec, or take it out'),
        )
    }
  }
  const fights = findFights(context.service, rules)
  return {
    rules,
    problems: [...problems, ...fights.problems],
    warnings: [...warnings, ...fights.warnings],
  }
}

/** A problem of a rule, at one of its keys. */
type Tell = (message: string, key: string, hint: string) => Problem

function readRule(
  context: RuleContext,
  entry: WatchEntry,
  source: RuleSource,
  index: number,
  tell: Tell,
): WatchRule | Problem {
  const { action, path } = entry
  if (!isAction(action)) {
    return tell(
      action === undefined ? 'no action' : `unknown action "${action}"`,
      'action',
      (action === undefined ? null : didYouMean(action, actions)) ?? `one of ${actions.join(', ')}`,
    )
  }
  if (typeof path !== 'string' || path === '') {
    return tell('no path', 'path', 'name the file or folder to watch, such as ./src')
  }
  const target = readTarget(action, path, entry.target, tell)
  if (typeof target === 'object' && target !== null) return target
  const command = readCommand(action, entry.exec ?? null, tell)
  if (command !== null && 'message' in command) return command
  const rule: WatchRule = {
    action,
    path: resolvePath(source.folder, path),
    target,
    ignore: toList(entry.ignore),
    include: toList(entry.include),
    initialSync: entry.initial_sync === true,
    exec: command,
    at: source.at(index, []),
  }
  return checkPlaces(context, rule, tell) ?? rule
}

function readTarget(
  action: WatchAction,
  path: string,
  target: string | undefined,
  tell: Tell,
): string | null | Problem {
  if (!action.startsWith('sync')) return null
  if (target === undefined || target === '') {
    return tell(
      `${action} without a target`,
      'target',
      `name where ${path} is in the container, such as /app`,
    )
  }
  if (target.startsWith('/')) return resolvePath('/', target)
  return tell(
    `the target "${target}" is not an absolute path`,
    'target',
    `begin it with /, such as /app/${target.replace(/^\.\//, '')}`,
  )
}

function checkPlaces({ binds, roots }: RuleContext, rule: WatchRule, tell: Tell): Problem | null {
  const { path, target } = rule
  if (!roots.some((root) => isWithin(root, path))) {
    return tell(`${path} is outside of the project`, 'path', `watch what lies below ${roots[0] ?? '/'}`)
  }
  if (target === null || mountedBy({ binds }, rule) !== null) return null
  const bind = binds.find((one) => isWithin(one.target, target))
  if (bind === undefined) return null
  return tell(
    `the target ${target} lies in a bind mount of ${bind.source}`,
    'target',
    'what is delivered there would be written into your own files: take out the rule, or the mount',
  )
}

function readCommand(action: WatchAction, exec: WatchExec | null, tell: Tell): WatchCommand | Problem | null {
  if (action !== 'sync+exec') return null
  const example = 'write exec: { command: [flask, db, upgrade] }'
  const { command } = exec ?? {}
  if (command === undefined || command === null || command.length === 0) {
    return tell('sync+exec without a command', 'exec', example)
  }
  const split = typeof command === 'string' ? splitWords(command) : { words: command }
  if ('problem' in split) {
    const hint = 'a shell does not run it by itself: [sh, -c, "..."]'
    return tell(`the command cannot be split into words: ${split.problem}`, 'exec', hint)
  }
  if (split.words.length === 0) return tell('sync+exec without a command', 'exec', example)
  return {
    argv: split.words,
    user: exec?.user ?? null,
    workdir: exec?.working_dir ?? null,
    env: toVariables(exec?.environment ?? null),
  }
}

/** A variable without a value is left to the container's own. */
function toVariables(written: WatchExec['environment'] | null): Readonly<Record<string, string>> {
  const pairs = isList(written)
    ? written.map((text): readonly [string, Value] => {
        const at = text.indexOf('=')
        return at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)]
      })
    : Object.entries(written ?? {})
  return Object.fromEntries(pairs.flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])))
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value)
}

function toList(value: string | readonly string[] | null | undefined): readonly string[] {
  if (value === undefined || value === null) return []
  return typeof value === 'string' ? [value] : value
}

/** Rules of one service that fight: two host folders for one target, or two actions for the same files. */
function findFights(
  service: string,
  rules: readonly WatchRule[],
): { readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] } {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  for (const [index, later] of rules.entries()) {
    for (const earlier of rules.slice(0, index)) {
      const line = earlier.at === null ? '' : ` (the other: ${earlier.at.file}:${String(earlier.at.line)})`
      const { at } = later
      if (sameRule(earlier, later)) {
        const message = `${later.action} of ${later.path} is written twice for ${service}${line}`
        warnings.push({ message, at, hint: 'keep one of them' })
        continue
      }
      const message = fight(earlier, later)
      if (message === null) continue
      const hint = 'keep one of them, or tell them apart with ignore'
      problems.push({ message: `two watch rules of ${service} fight: ${message}${line}`, at, hint })
    }
  }
  return { problems, warnings }
}

function sameRule(one: WatchRule, other: WatchRule): boolean {
  const written = (rule: WatchRule): string => JSON.stringify({ ...rule, at: null })
  return written(one) === written(other)
}

function fight(one: WatchRule, other: WatchRule): string | null {
  if (one.ignore.length + one.include.length + other.ignore.length + other.include.length > 0) return null
  if (one.path === other.path && one.action !== other.action) {
    return `${one.path} has both ${one.action} and ${other.action}`
  }
  if (one.target !== null && one.target === other.target && one.path !== other.path) {
    return `both ${one.path} and ${other.path} are written to ${one.target}`
  }
  return null
}

/**
 * Whether a file below a rule's folder is an editor's own, by its name, or git's: what `docker compose watch` leaves out, and
 * Emacs's `#name#`. Such a file is neither watched nor delivered.
 */
export function isEditorFile(rulePath: string, path: string): boolean {
  const inside = path.slice(rulePath.length)
  return EDITOR_FILE.test(path.slice(path.lastIndexOf('/') + 1)) || inside.includes('/.git/')
}

const EDITOR_FILE = /^(?:\.git|\.#.*|#.*#|4913|.*~|.*\.sw[px]|.*___jb_(?:tmp|old|bak)___)$/s

/** `path` against an absolute `folder`, without `.` and `..`: what node:path does, but without Node. */
export function resolvePath(folder: string, path: string): string {
  const parts: string[] = []
  for (const part of (path.startsWith('/') ? path : `${folder}/${path}`).split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}
