import { z } from 'zod'
import type { Problem } from './error.js'
import type { Mask } from './exchange.js'
import { checked, type Written } from './exchange-check.js'
import { compile } from './exchange-keep.js'
import { parseJsonPath } from './exchange-path.js'

const text = z.string().min(1)
const mask = z.strictObject({ json: text.optional(), text: text.optional(), header: text.optional() })

/** Reads the rules of a `mask:` list, each of one kind. */
export function readMasks(rules: readonly Written[], problems: Problem[]): readonly Mask[] {
  return rules.flatMap((written): readonly Mask[] => {
    const rule = checked(mask, written, problems)
    if (rule === null) return []
    const given = Object.entries(rule)
    const [kind = '', value = ''] = given[0] ?? []
    if (given.length !== 1) {
      const at = written.locate([])
      problems.push({ message: 'a mask has one rule', at, hint: 'one of json, text, header' })
      return []
    }
    const read = readMask(kind, value)
    if ('kind' in read) return [read]
    problems.push({ ...read, at: written.locate([kind], 'value') })
    return []
  })
}

function readMask(kind: string, value: string): Mask | Pick<Problem, 'message' | 'hint'> {
  if (kind === 'header') return { kind, name: value.toLowerCase() }
  if (kind === 'json') {
    const path = parseJsonPath(value)
    const message = `"${value}" is no JSON path`
    return path === null ? { message, hint: 'like $.items[*].id or $..created_at' } : { kind, path }
  }
  const pattern = compile(value, 'gu')
  const message = `"${value}" is no regular expression`
  return pattern === null
    ? { message, hint: 'quote what is meant literally: \\[ \\( \\.' }
    : { kind: 'text', pattern }
}
