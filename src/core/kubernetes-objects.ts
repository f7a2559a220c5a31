import type { Problem, SourcePosition } from './error.js'
import type { Path } from './yaml.js'

/** A Kubernetes object as a manifest writes it: nothing below its name is trusted. */
export interface ManifestObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [key: string]: unknown
}

export type Fields = Readonly<Record<string, unknown>>

/** Where a field of an object is written; null where that is not known. */
export type LocateObject = (object: ManifestObject, path: Path) => SourcePosition | null

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Null where it lacks what every object has. */
export function asManifestObject(value: unknown): ManifestObject | null {
  if (!isFields(value) || !isFields(value['metadata'])) return null
  const { apiVersion, kind, metadata } = value
  const named = [apiVersion, kind, metadata['name']].every((text) => typeof text === 'string' && text !== '')
  return named ? (value as unknown as ManifestObject) : null
}

/** What is written at a path; undefined where nothing is. */
export function valueAt(value: unknown, path: Path): unknown {
  let here = value
  for (const key of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined
    here = (here as Record<string | number, unknown>)[key]
  }
  return here
}

/** An entry that is really there: names of services may be anything, `constructor` too. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined
}

export function fieldsAt(value: unknown, path: Path): Fields {
  const found = valueAt(value, path)
  return isFields(found) ? found : {}
}

export function listAt(value: unknown, path: Path): readonly unknown[] {
  const found = valueAt(value, path)
  return Array.isArray(found) ? found : []
}

export function textAt(value: unknown, path: Path): string | null {
  const found = valueAt(value, path)
  return typeof found === 'string' && found !== '' ? found : null
}

/** The entries of a map whose values are text: labels, annotations, a selector. */
export function textsAt(value: unknown, path: Path): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fieldsAt(value, path)).filter((entry): entry is [string, string] => {
      return typeof entry[1] === 'string'
    }),
  )
}

/** `apps` of `apps/v1`; empty for the first kinds, whose version stands alone. */
export function groupOf({ apiVersion }: Pick<ManifestObject, 'apiVersion'>): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
}

/** `Deployment.apps`, `Pod`: which kind it is, whatever its version. */
export function kindOf(object: Pick<ManifestObject, 'apiVersion' | 'kind'>): string {
  const group = groupOf(object)
  return group === '' ? object.kind : `${object.kind}.${group}`
}

const TEMPLATES: Readonly<Record<string, Path>> = {
  Pod: [],
  ReplicationController: ['spec', 'template'],
  'Deployment.apps': ['spec', 'template'],
  'StatefulSet.apps': ['spec', 'template'],
  'DaemonSet.apps': ['spec', 'template'],
  'ReplicaSet.apps': ['spec', 'template'],
  'Job.batch': ['spec', 'template'],
  'CronJob.batch': ['spec', 'jobTemplate', 'spec', 'template'],
}

/** Where an object holds the pods that it makes; null where it makes none. */
export function podTemplatePath(object: Pick<ManifestObject, 'apiVersion' | 'kind'>): Path | null {
  const kind = kindOf(object)
  return Object.hasOwn(TEMPLATES, kind) ? (TEMPLATES[kind] ?? null) : null
}

/** Whether labels are what a workload's `selector` wants: equality and set expressions. */
export function selects(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  const equal = Object.entries(textsAt(selector, ['matchLabels'])).every(
    ([key, value]) => labels[key] === value,
  )
  return equal && listAt(selector, ['matchExpressions']).every((one) => fits(one, labels))
}

function fits(expression: unknown, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[textAt(expression, ['key']) ?? '']
  const values = listAt(expression, ['values'])
  switch (textAt(expression, ['operator'])) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return true
  }
}

/** What is found in manifests, each at its place. */
export class Findings {
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []

  constructor(private readonly locate: LocateObject | undefined) {}

  at(object: ManifestObject, path: Path): SourcePosition | null {
    return this.locate?.(object, path) ?? null
  }

  problem(object: ManifestObject, path: Path, message: string, hint: string | null): void {
    this.problems.push({ message, at: this.at(object, path), hint })
  }

  warning(object: ManifestObject, path: Path, message: string, hint: string | null): void {
    this.warnings.push({ message, at: this.at(object, path), hint })
  }
}

/** `deployment shop`, as messages name an object. */
export function nameOf({ kind, metadata }: ManifestObject): string {
  return `${kind} ${metadata.name}`
}
