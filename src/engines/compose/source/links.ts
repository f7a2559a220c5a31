import { dirname, resolve } from 'node:path'
import type { SourcePosition } from '../../../core/error.js'
import { isMap, placeOf } from './types.js'
import type { Body, ComposeDocument } from './types.js'

export interface Include {
  /** Absolute, merged in this order. */
  readonly files: readonly string[]
  /** What relative paths in them start from. */
  readonly folder: string
  /** Null: the `.env` of the folder. */
  readonly envFiles: readonly string[] | null
  readonly at: SourcePosition
}

/** The `include` of a document. What is not of the right shape is the schema's to tell. */
export function includeOf(document: ComposeDocument, folder: string): readonly Include[] {
  const written = isMap(document.value) ? document.value['include'] : null
  if (!Array.isArray(written)) return []
  return written.flatMap((entry: unknown, index): readonly Include[] => {
    const at = document.source.locate(['include', index])
    const files = texts(isMap(entry) ? entry['path'] : entry).filter(isLocal)
    const [first] = files.map((file) => resolve(folder, file))
    if (first === undefined) return []
    const own = isMap(entry) ? entry['project_directory'] : null
    const envFile = isMap(entry) ? entry['env_file'] : undefined
    return [
      {
        files: files.map((file) => resolve(folder, file)),
        folder: typeof own === 'string' ? resolve(folder, own) : dirname(first),
        envFiles: envFile === undefined ? null : texts(envFile).map((file) => resolve(folder, file)),
        at,
      },
    ]
  })
}

export interface Extends {
  readonly service: string
  /** Absolute; null: the same file. */
  readonly file: string | null
  readonly at: SourcePosition
  readonly fileAt: SourcePosition
}

/** The `extends` of a service, or null. */
export function extendsOf(body: Body): Extends | null {
  const written = body.value['extends']
  const at = placeOf(body, ['extends'])
  if (typeof written === 'string') return { service: written, file: null, at, fileAt: at }
  if (!isMap(written) || typeof written['service'] !== 'string') return null
  const file = typeof written['file'] === 'string' ? written['file'] : null
  if (file !== null && !isLocal(file)) return null
  const own = file === null ? null : resolve(body.document.folder, file)
  // A file that names itself is the same file.
  const other = own === body.document.source.file ? null : own
  return {
    service: written['service'],
    file: other,
    at: placeOf(body, ['extends', 'service']),
    fileAt: placeOf(body, ['extends', 'file']),
  }
}

/** Compose also takes Git and OCI addresses. */
export function isLocal(path: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:\/\/|^git@|^github\.com\//i.test(path)
}

/** A text or a list of them. */
function texts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
