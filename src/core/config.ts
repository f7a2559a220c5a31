import { z } from 'zod'
import type { Problem } from './error.js'
import { ENGINE_KINDS } from './project.js'
import { didYouMean } from './suggest.js'
import { byPlace, pathText } from './yaml.js'
import type { Path, YamlSource } from './yaml.js'

// zod costs tens of milliseconds: import this module only where a devstack.yaml is there, and its types with `import type`.

const text = z.string().min(1)
const oneOrMore = z.union([text, z.array(text).min(1)])

const watchRule = z.strictObject({
  action: z
    .enum(['sync', 'sync+restart', 'sync+exec', 'restart', 'rebuild'])
    .describe('What a change of a watched file does'),
  path: text.describe('File or folder on the host, relative to this file'),
  target: text.optional().describe('Absolute path in the container, for the sync actions'),
  ignore: oneOrMore.optional().describe('Patterns, as in .dockerignore, of files that are not watched'),
  include: oneOrMore.optional().describe('Patterns of the only files that are watched'),
  initial_sync: z.boolean().optional().describe('Send what differs when the container starts'),
  exec: z
    .strictObject({
      command: oneOrMore.describe('A list of words, or a line that is split into words; no shell runs it'),
      user: text.optional(),
      working_dir: text.optional(),
      environment: z
        .union([z.record(text, z.union([z.string(), z.number(), z.boolean(), z.null()])), z.array(text)])
        .optional(),
    })
    .optional()
    .describe('The command of sync+exec'),
})

const service = z.strictObject({
  preset: z
    .enum(['flask', 'react', 'nginx'])
    .optional()
    .describe('How it is watched, reloaded and proven fresh where the Compose file does not say'),
  bring_back: z
    .array(text)
    .optional()
    .describe(
      'Files that a command of a watch rule may change in the container and that then come back: package-lock.json',
    ),
  watch: z.array(watchRule).optional().describe("Rules beside those of the Compose file's develop.watch"),
})

/** What every cluster has for itself. */
const CLUSTER_NAMESPACE = /^(?:default|kube-.*)$/

const kubernetes = z.strictObject({
  context: text.describe("Of the user's kubeconfig; the current one is never used"),
  server: z
    .string()
    .regex(/^https:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/, 'must be an address such as https://10.0.0.5:6443')
    .describe('What the context must lead to'),
  namespace: z
    .string()
    .regex(
      /^(?:[a-z0-9]|\{user\})(?:[a-z0-9-]|\{user\})*$/,
      'must begin with a lowercase letter or digit and have only a-z, 0-9, - and {user}',
    )
    .refine((name) => !CLUSTER_NAMESPACE.test(name), {
      error: "must be the stack's own, and this one is the cluster's",
    })
    .describe('Made for the stack, one for each worktree; {user} stands for the login name'),
  registry: z
    .string()
    .regex(
      /^[a-z0-9.-]+(?::\d+)?(?:\/[a-z0-9._-]+)*$/,
      'must be a host and a path, without https:// and without a tag',
    )
    .describe('Where images go that are built here: registry.team.example/shop'),
  manifests: oneOrMore.optional().describe('Kustomize folder or plain YAML; default: kind.manifests'),
})

const waiver = z.strictObject({
  rule: text,
  workload: text.optional(),
  container: text.optional(),
  path: text.optional(),
  local: z.union([z.string(), z.number(), z.boolean(), z.null()]).optional(),
  production: z.union([z.string(), z.number(), z.boolean(), z.null()]).optional(),
  reason: text,
  owner: text.optional(),
  expires: text.optional(),
})

const schema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[a-z0-9][a-z0-9_-]*$/,
        'must begin with a lowercase letter or digit and have only a-z, 0-9, _ and -',
      )
      .optional()
      .describe('Project name; default: as Compose names it'),
    compose: oneOrMore
      .optional()
      .describe('Compose files, relative to this file, later ones over earlier ones'),
    kind: z
      .strictObject({
        cluster: text.optional().describe('kind cluster configuration'),
        manifests: oneOrMore.optional().describe('Kustomize folder or plain YAML'),
      })
      .optional(),
    engine: z.enum(ENGINE_KINDS).optional().describe('What runs the stack; default: compose'),
    kubernetes: kubernetes.optional().describe('The one cluster that engine: kubernetes may touch'),
    production: z
      .record(text, z.strictObject({ manifests: oneOrMore }))
      .optional()
      .describe('What runs in production, by name: folder, kustomization, Helm chart or Compose file'),
    services: z.record(text, service).optional(),
    parity: z
      .strictObject({ map: z.record(text, text).optional(), waivers: z.array(waiver).optional() })
      .optional()
      .describe('How local and production services pair, and which differences are accepted'),
    images: z
      .strictObject({
        source: z
          .enum(['auto', 'registry', 'local'])
          .optional()
          .describe('auto: a registry where one answers'),
      })
      .optional(),
  })
  .refine((config) => config.engine !== 'kubernetes' || config.kubernetes !== undefined, {
    path: ['engine'],
    error: 'kubernetes needs context, server, namespace and registry under the key kubernetes',
  })

/** The content of a devstack.yaml. */
export type DevstackConfig = z.infer<typeof schema>

/** The JSON Schema of devstack.yaml, for editors. */
export function devstackSchema(): object {
  return { ...jsonSchema(), title: 'devstack.yaml', description: 'A local development stack' }
}

function jsonSchema(): JsonSchema {
  return z.toJSONSchema(schema, { target: 'draft-7' }) as JsonSchema
}

export interface ReadConfig {
  /** Null where there is a problem. */
  readonly config: DevstackConfig | null
  /** Every one, at its place. */
  readonly problems: readonly Problem[]
}

/** Checks a devstack.yaml that was read with its places. An empty file is an empty configuration. */
export function readConfig(source: YamlSource): ReadConfig {
  if (source.problems.length > 0) return { config: null, problems: source.problems }
  if (source.documents.length > 1) {
    const at = source.locate([])
    return { config: null, problems: [{ message: 'more than one YAML document', at, hint: 'keep only one' }] }
  }
  const parsed = schema.safeParse(source.documents[0] ?? {}, { reportInput: true })
  if (parsed.success) return { config: parsed.data, problems: [] }
  const whole = jsonSchema()
  const problems = parsed.error.issues.flatMap((issue) => toProblems(issue, source, whole))
  return { config: null, problems: problems.toSorted(byPlace) }
}

type Issue = z.core.$ZodIssue

function toProblems(issue: Issue, source: YamlSource, whole: JsonSchema): readonly Problem[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol')
  const name = pathText(path)
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(whole, path)
    return issue.keys.map((key) => ({
      message: `unknown key "${key}"${name === '' ? '' : ` in ${name}`}`,
      at: source.locate([...path, key]),
      hint: didYouMean(key, known) ?? `known keys: ${known.join(', ')}`,
    }))
  }
  const missing = source.depthOf(path) < path.length
  const at = source.locate(path, missing ? 'key' : 'value')
  if (missing)
    return [
      { message: `"${String(path.at(-1))}" is missing in ${pathText(path.slice(0, -1))}`, at, hint: null },
    ]
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String)
    const meant = typeof issue.input === 'string' ? didYouMean(issue.input, values) : null
    const hint = meant ?? `one of ${values.join(', ')}`
    return [{ message: `${name}: unknown value ${show(issue.input)}`, at, hint }]
  }
  return [{ message: `${name === '' ? 'devstack.yaml' : name}: ${describe(issue)}`, at, hint: null }]
}

function describe(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${named(issue.expected)}, is ${show(issue.input)}`
    case 'invalid_union': {
      const wanted = issue.errors
        .flat()
        .flatMap((error) => (error.code === 'invalid_type' ? [named(error.expected)] : []))
      return wanted.length === 0
        ? 'must not be empty'
        : `must be ${[...new Set(wanted)].join(' or ')}, is ${show(issue.input)}`
    }
    case 'too_small':
      return 'must not be empty'
    default:
      return issue.code === 'invalid_format' ? `${show(issue.input)} ${issue.message}` : issue.message
  }
}

function named(type: string): string {
  const names: Readonly<Record<string, string>> = {
    object: 'a map',
    record: 'a map',
    array: 'a list',
    string: 'text',
  }
  return names[type] ?? type
}

function show(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return typeof value === 'string' ? `"${value}"` : `${typeof value} ${JSON.stringify(value)}`
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | false
  readonly items?: JsonSchema
}

function knownKeys(whole: JsonSchema, path: Path): readonly string[] {
  let here: JsonSchema | undefined = whole
  for (const key of path) {
    const others: JsonSchema | undefined =
      here?.additionalProperties === false ? undefined : here?.additionalProperties
    here = typeof key === 'number' ? here?.items : (here?.properties?.[key] ?? others)
  }
  return Object.keys(here?.properties ?? {})
}
