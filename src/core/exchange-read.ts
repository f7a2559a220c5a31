import { z } from 'zod'
import type { Problem } from './error.js'
import type { HeaderList, Keep, PlannedRequest, RequestBody, RequestFile } from './exchange.js'
import { checked, REQUEST, type Locate, type Written } from './exchange-check.js'
import { parseKeep } from './exchange-keep.js'
import { readMasks } from './exchange-read-mask.js'
import { isName, namesIn, SECRET_PREFIX, SIDE_NAMES, textsOf } from './exchange-template.js'
import { closest } from './suggest.js'
import { byPlace, readYaml, type Path } from './yaml.js'

// zod costs tens of milliseconds: import this module only where requests are read.

const text = z.string().min(1)
const scalar = z.union([z.string(), z.number(), z.boolean()])
const values = z.record(text, z.union([scalar, z.array(scalar)]))

const entry = z.strictObject({
  request: z.string().regex(REQUEST),
  headers: values.optional(),
  body: z.string().optional(),
  json: z.unknown().optional(),
  form: values.optional(),
  base64: z.base64().optional(),
  keep: z.record(text, text).optional(),
  mask: z.array(z.unknown()).optional(),
  skip: text.optional(),
  at: text.optional(),
  status: z.number().optional(),
  ms: z.number().optional(),
})

const head = z.strictObject({
  schema: z.literal('devstack.requests/1').optional(),
  mask: z.array(z.unknown()).optional(),
  defaults: z.boolean().optional(),
})

const BODY_KEYS = ['body', 'json', 'form', 'base64'] as const

export interface ReadRequests {
  /** Null where there is a problem. */
  readonly file: RequestFile | null
  /** Every one, at its place. */
  readonly problems: readonly Problem[]
}

interface Parts {
  readonly head: Written | null
  readonly entries: readonly Written[]
  readonly problems: readonly Problem[]
}

/**
 * Reads a file of requests: YAML as people write it, or one JSON object a line as `devstack record` does. `path` is what
 * positions name; its ending says which of them it is.
 */
export function readRequests(content: string, path: string): ReadRequests {
  const parts = /\.(?:ndjson|jsonl)$/i.test(path) ? readLines(content, path) : readDocument(content, path)
  if (parts.problems.length > 0) return { file: null, problems: parts.problems }
  const problems: Problem[] = []
  const settings = parts.head === null ? {} : (checked(head, parts.head, problems) ?? {})
  const masks = parts.head === null ? [] : readMasks(below(parts.head, 'mask', settings.mask), problems)
  const known = new Set<string>(SIDE_NAMES)
  const requests = parts.entries.flatMap((written) => readEntry(written, known, problems) ?? [])
  if (problems.length > 0) return { file: null, problems: problems.toSorted(byPlace) }
  return { file: { requests, masks, defaults: settings.defaults !== false }, problems: [] }
}

function readLines(content: string, file: string): Parts {
  const problems: Problem[] = []
  let first: Written | null = null
  const entries: Written[] = []
  for (const [index, line] of content.split('\n').entries()) {
    if (line.trim() === '') continue
    const at = { file, line: index + 1, column: 1 }
    try {
      const written = { value: JSON.parse(line) as unknown, locate: () => at }
      const isHead = first === null && entries.length === 0 && !hasKey(written.value, 'request')
      if (isHead) first = written
      else entries.push(written)
    } catch (error) {
      const message = `no JSON: ${error instanceof Error ? error.message : String(error)}`
      problems.push({ message, at, hint: 'each line is one JSON object' })
    }
  }
  return { head: first, entries, problems }
}

function readDocument(content: string, file: string): Parts {
  const source = readYaml(content, file)
  const none = { head: null, entries: [], problems: source.problems }
  if (source.problems.length > 0) return none
  const [document] = source.documents
  const locate: Locate = (path, part) => source.locate(path, part)
  if (Array.isArray(document))
    return { ...none, entries: document.map((value: unknown, index) => placed(locate, value, [index])) }
  if (hasKey(document, 'requests') && Array.isArray(document['requests'])) {
    const { requests, ...settings } = document
    const whole = { value: settings, locate }
    return { ...none, head: whole, entries: below(whole, 'requests', requests as unknown[]) }
  }
  const hint = 'write a list: "- GET /api/health"'
  return { ...none, problems: [{ message: 'no list of requests', at: source.locate([]), hint }] }
}

/** `known` gains what the request keeps for later ones. */
function readEntry(written: Written, known: Set<string>, problems: Problem[]): PlannedRequest | null {
  const { locate } = written
  const short = typeof written.value === 'string' ? { request: written.value } : written.value
  const found = checked(entry, { value: short, locate }, problems)
  if (found === null) return null
  const [, method = '', target = ''] = REQUEST.exec(found.request) ?? []
  const problem = (message: string, path: Path, hint: string | null = null): void => {
    problems.push({ message, at: locate(path, 'value'), hint })
  }
  const bodies = BODY_KEYS.filter((key) => found[key] !== undefined)
  if (bodies.length > 1) problem(`${bodies.join(' and ')}: one request has one body`, [bodies[1] ?? ''])
  checkHeaders(found.headers ?? {}, problem)
  checkNames(found, known, problem)
  const keep = Object.entries(found.keep ?? {}).flatMap(([name, from]): readonly Keep[] => {
    const source = isName(name) ? parseKeep(from) : null
    if (!isName(name)) problem(`"${name}" is no name`, ['keep', name], 'letters, digits and _')
    else if (source === null)
      problem(
        `keep.${name}: "${from}" names no place`,
        ['keep', name],
        'like $.token, header X-Token, cookie sid or /id="(.+?)"/',
      )
    known.add(name)
    return source === null ? [] : [{ name, source }]
  })
  return {
    method,
    target,
    headers: flat(found.headers ?? {}),
    body: bodyOf(found),
    keep,
    masks: readMasks(below(written, 'mask', found.mask), problems),
    skip: found.skip ?? null,
    at: locate([]),
  }
}

type Entry = z.infer<typeof entry>

function bodyOf({ body, json, form, base64 }: Entry): RequestBody {
  if (body !== undefined) return { kind: 'text', text: body }
  if (json !== undefined) return { kind: 'json', value: json }
  if (form !== undefined) return { kind: 'form', fields: flat(form) }
  return base64 === undefined ? { kind: 'none' } : { kind: 'base64', base64 }
}

function flat(map: z.infer<typeof values>): HeaderList {
  return Object.entries(map).flatMap(([name, value]) =>
    [value].flat().map((one) => [name, String(one)] as const),
  )
}

function checkHeaders(headers: z.infer<typeof values>, problem: (message: string, path: Path) => void): void {
  for (const [name, value] of flat(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) problem(`"${name}" is no header name`, ['headers', name])
    else if (/[^\t\u0020-\u007E\u0080-\u00FF]/u.test(value))
      problem(`headers.${name}: a header holds no line breaks and no letters beyond Latin-1`, [
        'headers',
        name,
      ])
  }
}

/** A misspelt `${name}` would be sent as it stands, and both stacks would refuse it alike. */
function checkNames(
  { request, headers, body, json, form }: Entry,
  known: ReadonlySet<string>,
  problem: (message: string, path: Path, hint: string) => void,
): void {
  const places = { request, headers, body, json, form }
  for (const [key, value] of Object.entries(places)) {
    for (const name of textsOf(value).flatMap(namesIn)) {
      if (known.has(name) || name.startsWith(SECRET_PREFIX)) continue
      const near = closest(name, known)
      const hint =
        near === null
          ? 'keep it of an earlier answer, or write $${ for a plain ${'
          : `did you mean \${${near}}?`
      problem(`nothing before this keeps \${${name}}`, [key], hint)
    }
  }
}

/** The items of a list under `key`. */
function below({ locate }: Written, key: string, list: readonly unknown[] | undefined): readonly Written[] {
  return (list ?? []).map((value, index) => placed(locate, value, [key, index]))
}

function placed(locate: Locate, value: unknown, prefix: Path): Written {
  return { value, locate: (path, part) => locate([...prefix, ...path], part) }
}

function hasKey(value: unknown, key: string): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
}
