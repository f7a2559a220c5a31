import { interpolate } from '../../../core/interpolation.js'
import type { InterpolationIssue } from '../../../core/interpolation.js'
import { pathText } from '../../../core/yaml.js'
import type { Path, YamlSource } from '../../../core/yaml.js'
import type { SourceProblem } from './types.js'

/** A variable without a value, at one of its places. */
export interface Unset {
  readonly name: string
  readonly problem: SourceProblem
}

export interface Replaced {
  readonly value: unknown
  readonly isReplaced: (owner: object, key: string | number) => boolean
  readonly problems: readonly SourceProblem[]
  readonly unset: readonly Unset[]
}

/**
 * Replaces the variables of a document, and drops what is tagged `!reset`. The document is changed in place: its places are
 * known by its objects.
 */
export function replaceVariables(
  source: YamlSource,
  value: unknown,
  lookup: (name: string) => string | undefined,
): Replaced {
  const replaced = new Map<object, Set<string | number>>()
  const seen = new Set<object>()
  const problems: SourceProblem[] = []
  const unset: Unset[] = []
  const visit = (owner: object, path: Path): void => {
    // An alias is the anchor's own object: once is enough, and twice would replace `$$` twice.
    if (seen.has(owner)) return
    seen.add(owner)
    for (const [key, inner] of entriesOf(owner)) {
      const here = [...path, key]
      if (typeof inner === 'object' && inner !== null) visit(inner, here)
      if (source.tagOf(here) === '!reset') Reflect.deleteProperty(owner, key)
      if (typeof inner !== 'string' || !inner.includes('$')) continue
      const { value: text, changed, issues } = interpolate(inner, lookup)
      Reflect.set(owner, key, text)
      if (changed) replaced.set(owner, (replaced.get(owner) ?? new Set()).add(key))
      for (const issue of issues) {
        const problem = toProblem(issue, source, here)
        if (issue.kind === 'unset') unset.push({ name: issue.name, problem })
        else problems.push(problem)
      }
    }
  }
  if (typeof value === 'object' && value !== null) visit(value, [])
  const isReplaced = (owner: object, key: string | number) => replaced.get(owner)?.has(key) === true
  return { value, isReplaced, problems, unset }
}

function entriesOf(owner: object): readonly (readonly [string | number, unknown])[] {
  return Array.isArray(owner) ? [...owner.entries()] : Object.entries(owner)
}

function toProblem(issue: InterpolationIssue, source: YamlSource, path: Path): SourceProblem {
  const at = source.locateText(path, issue.expression, issue.occurrence)
  const set = `set it in .env or in the environment`
  switch (issue.kind) {
    case 'unset':
      return {
        message: `the variable ${issue.name} is not set: an empty text is used`,
        at,
        hint: `${set}, or give a default: \${${issue.name}:-value}`,
        stage: 'config',
      }
    case 'required': {
      const why = issue.message === '' ? '' : `: ${issue.message}`
      return { message: `the variable ${issue.name} is required${why}`, at, hint: set, stage: 'config' }
    }
    default:
      return {
        message: `${pathText(path)}: "${issue.expression}" is not a variable`,
        at,
        hint: 'write $$ for a dollar sign, or ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+other}',
        stage: 'config',
      }
  }
}
