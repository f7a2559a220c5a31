import type { ErrorObject, ValidateFunction } from 'ajv'
import { didYouMean } from '../../../core/suggest.js'
import { pathText, YAML_CAPS } from '../../../core/yaml.js'
import type { Path } from '../../../core/yaml.js'
import { isMap } from './types.js'
import type { ComposeDocument, SourceProblem } from './types.js'

interface SchemaRequest {
  readonly document: ComposeDocument
  /** Only what is below this path is told. */
  readonly within: Path
  /** True for a file that is merged over others, which may have what this one lacks. */
  readonly partial: boolean
}

type Check = (request: SchemaRequest) => readonly SourceProblem[]

let checker: Promise<Check> | null = null

/**
 * A check against the Compose schema. The validator and the schema are loaded here: only who explains pays for them, and
 * only once.
 */
export function schemaChecker(): Promise<Check> {
  checker ??= loadChecker()
  return checker
}

async function loadChecker(): Promise<Check> {
  const { compileSchema } = await import('./validator.js')
  const validate = compileSchema()
  return (request) => check(validate, request)
}

interface Finding {
  readonly path: Path
  readonly error: ErrorObject
}

function check(validate: ValidateFunction, request: SchemaRequest): readonly SourceProblem[] {
  const { document, within, partial } = request
  if (!isMap(document.value)) {
    const at = document.source.locate([])
    return [{ message: 'a Compose file must be a map', at, hint: 'begin it with services:', stage: 'config' }]
  }
  validate(document.value)
  const findings = (validate.errors ?? []).map((error) => ({ path: pathOf(error, document.value), error }))
  const told = telling(findings).filter(
    ({ path, error }) =>
      within.every((key, index) => path[index] === key) &&
      !(partial && error.keyword === 'required') &&
      !standsForAnother(error, path, document),
  )
  return told.slice(0, YAML_CAPS.problems).map((finding) => toProblem(finding, findings, document))
}

/** Ajv's JSON pointer as keys; a list's index is a number. */
function pathOf(error: ErrorObject, root: unknown): Path {
  let here: unknown = root
  const path: (string | number)[] = []
  for (const part of error.instancePath.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(Array.isArray(here) ? Number(key) : key)
    here = typeof here === 'object' && here !== null ? Reflect.get(here, key) : undefined
  }
  return path
}

const CHOICES: readonly string[] = ['oneOf', 'anyOf']

/**
 * Ajv tells every branch of a choice. Of a value that fits none, the mistakes inside it come from the branch of its own
 * shape; only where there are none is the shape itself the mistake.
 */
function telling(findings: readonly Finding[]): readonly Finding[] {
  const choices = new Set(findings.filter(({ error }) => CHOICES.includes(error.keyword)).map(pointer))
  if (choices.size === 0) return findings
  const inner = new Set<string>()
  for (const finding of findings) {
    const own = pointer(finding)
    if (!CHOICES.includes(finding.error.keyword) && finding.error.keyword !== 'type') inner.add(own)
    for (let end = own.lastIndexOf('/'); end >= 0; end = own.lastIndexOf('/', end - 1)) {
      inner.add(own.slice(0, end))
      if (end === 0) break
    }
  }
  return findings.filter((finding) => {
    const own = pointer(finding)
    if (!choices.has(own)) return true
    const { keyword } = finding.error
    if (inner.has(own)) return keyword !== 'type' && !CHOICES.includes(keyword)
    return CHOICES.includes(keyword)
  })
}

function pointer({ error }: Finding): string {
  return error.instancePath
}

/** A variable's text may stand for a number or a switch: Compose converts it where it is needed. */
function standsForAnother(error: ErrorObject, path: Path, document: ComposeDocument): boolean {
  const { data } = error
  if (typeof data !== 'string' || !['type', ...CHOICES].includes(error.keyword)) return false
  const key = path.at(-1)
  let owner: unknown = document.value
  for (const part of path.slice(0, -1)) owner = Reflect.get(owner as object, part)
  if (key === undefined || typeof owner !== 'object' || owner === null || !document.isReplaced(owner, key))
    return false
  return data === '' || /^([+-]?\d+(\.\d+)?|true|false|yes|no|on|off|y|n|t|f)$/i.test(data)
}

function toProblem(finding: Finding, all: readonly Finding[], document: ComposeDocument): SourceProblem {
  const { path, error } = finding
  const { source } = document
  const name = path.length === 0 ? 'the file' : pathText(path)
  const at = source.locate(path, 'value')
  const problem = (message: string, place = at, hint: string | null = null): SourceProblem => ({
    message,
    at: place,
    hint,
    stage: 'config',
  })
  const params = error.params as Readonly<Record<string, unknown>>
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(finding, String(params['additionalProperty']), document)
    case 'required':
      return problem(`${name}: "${String(params['missingProperty'])}" is missing`, source.locate(path))
    case 'enum': {
      const values = (Array.isArray(error.schema) ? error.schema : []).map(String)
      const meant = typeof error.data === 'string' ? didYouMean(error.data, values) : null
      return problem(`${name}: unknown value ${show(error.data)}`, at, meant ?? `one of ${values.join(', ')}`)
    }
    case 'type':
    case 'oneOf':
    case 'anyOf':
      return problem(`${name} must be ${shapes(finding, all)}, is ${show(error.data)}`)
    default:
      return problem(`${name} ${error.message ?? 'is not valid'}`)
  }
}

function unknownKey({ path, error }: Finding, key: string, { source }: ComposeDocument): SourceProblem {
  const at = source.locate([...path, key])
  const known = Object.keys(
    isMap(error.parentSchema) && isMap(error.parentSchema['properties'])
      ? error.parentSchema['properties']
      : {},
  )
  const where = path.length === 0 ? '' : ` in ${pathText(path)}`
  if (known.length === 0) {
    const hint = 'use only letters, digits, ., _ and -'
    return { message: `"${key}"${where} is not a usable name`, at, hint, stage: 'config' }
  }
  const list = known.length > 12 ? null : `known keys: ${known.join(', ')}`
  return {
    message: `unknown key "${key}"${where}`,
    at,
    hint: didYouMean(key, known) ?? list,
    stage: 'config',
  }
}

const SHAPES: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'empty',
}

/** What the branches of a choice would accept. */
function shapes(finding: Finding, all: readonly Finding[]): string {
  const types = all
    .filter(({ error }) => error.keyword === 'type' && error.instancePath === finding.error.instancePath)
    .flatMap(({ error }) => (Array.isArray(error.schema) ? error.schema : [error.schema]))
  const names = [...new Set(types.map((type) => SHAPES[String(type)] ?? String(type)))]
  return names.length === 0 ? 'of another form' : names.join(' or ')
}

function show(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}..."` : text
}
