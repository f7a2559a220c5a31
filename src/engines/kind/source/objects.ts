import type { ManifestObject } from '../../../core/kubernetes-objects.js'
import { isFields, kindOf, listAt, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'
import type { SourceDocument } from './documents.js'
import { nameOfEntry, toEntry } from './entries.js'
import type { Entry } from './entries.js'
import type { SourceFiles } from './files.js'

export interface WrittenObject {
  readonly entry: Entry
  readonly object: ManifestObject
}

/** The objects of documents, those of a List each by itself; what is none is told. */
export function objectsOf(
  documents: readonly SourceDocument[],
  files: SourceFiles,
): readonly WrittenObject[] {
  return documents.flatMap((document) => {
    const isList = /^(?:[A-Za-z]*)List$/.test(textAt(document.value, ['kind']) ?? '')
    const items = listAt(document.value, ['items'])
    if (isList && valueAt(document.value, ['items']) !== undefined) {
      return items.flatMap((_, index) => toObject(document, ['items', index], files))
    }
    return toObject(document, [], files)
  })
}

function toObject(document: SourceDocument, base: Path, files: SourceFiles): readonly WrittenObject[] {
  const value = valueAt(document.value, base)
  const at = document.locate(base)
  const entry = toEntry(document, base)
  if (entry !== null && isFields(value)) return [{ entry, object: value as unknown as ManifestObject }]
  if (!isFields(value)) {
    files.fail('this is no Kubernetes object', at, 'every object has apiVersion, kind and metadata.name')
    return []
  }
  const missing = [['apiVersion'], ['kind'], ['metadata', 'name']].filter(
    (path) => textAt(value, path) === null,
  )
  const generated = textAt(value, ['metadata', 'generateName']) !== null
  const hint = generated ? 'generateName makes a new object each time; give it a name' : null
  const names = missing.map((path) => path.join('.')).join(' and ')
  files.fail(`a Kubernetes object without ${names}`, at, hint)
  return []
}

/** `Deployment.apps api`: what an object is known by; the namespace is one for all. */
export function keyOf(kind: Pick<ManifestObject, 'apiVersion' | 'kind'>, name: string): string {
  return `${kindOf(kind)} ${name}`
}

/** Tells objects that are written twice; the first one stays. */
export function withoutDoubles(entries: readonly Entry[], files: SourceFiles): readonly Entry[] {
  const seen = new Map<string, Entry>()
  return entries.filter((entry) => {
    const key = `${keyOf(entry, nameOfEntry(entry))} ${entry.namespace ?? ''}`
    const first = seen.get(key)
    if (first === undefined) {
      seen.set(key, entry)
      return true
    }
    const { file, line } = first.at
    const what = `${entry.kind} ${nameOfEntry(entry)} is written twice (the other: ${file}:${String(line)})`
    files.fail(what, entry.at, 'give one of them another name, or take it out')
    return false
  })
}
