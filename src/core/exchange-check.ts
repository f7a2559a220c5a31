import type { z } from 'zod'
import type { Problem, SourcePosition } from './error.js'
import { didYouMean } from './suggest.js'
import { pathText, type Path } from './yaml.js'

export type Locate = (path: Path, part?: 'key' | 'value') => SourcePosition

/** A value of a file and where its parts are written. */
export interface Written {
  readonly value: unknown
  readonly locate: Locate
}

/** A method and a path. */
export const REQUEST = /^([A-Z][A-Z-]*) +(\/\S*)$/

/** The value as the schema says, or null with every problem of it. */
export function checked<T extends z.ZodObject>(
  schema: T,
  { value, locate }: Written,
  problems: Problem[],
): z.infer<T> | null {
  const parsed = schema.safeParse(value, { reportInput: true })
  if (parsed.success) return parsed.data
  const known = Object.keys(schema.shape)
  for (const issue of parsed.error.issues) {
    const path = issue.path.filter((key) => typeof key !== 'symbol')
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const hint = didYouMean(key, known) ?? `known keys: ${known.join(', ')}`
        problems.push({ message: `unknown key "${key}"`, at: locate([...path, key]), hint })
      }
    } else {
      problems.push({ ...told(issue, pathText(path)), at: locate(path, 'value') })
    }
  }
  return null
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  string: 'text',
}

function told(issue: z.core.$ZodIssue, name: string): Pick<Problem, 'message' | 'hint'> {
  if (issue.code === 'invalid_format' && name === 'request')
    return {
      message: `"${String(issue.input)}" is no request`,
      hint: 'write the method and the path: GET /api/products?page=2',
    }
  return { message: name === '' ? wanted(issue) : `${name}: ${wanted(issue)}`, hint: null }
}

function wanted(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${KINDS[issue.expected] ?? issue.expected}`
    case 'invalid_union':
      return 'must be text or a number, or a list of them'
    case 'too_small':
      return 'must not be empty'
    default:
      return issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
  }
}
