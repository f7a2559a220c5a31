import { groupOf, isFields, listAt, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import { didYouMean } from '../../../core/suggest.js'
import type { Path } from '../../../core/yaml.js'
import type { SourceDocument } from './documents.js'
import { readDocuments } from './documents.js'
import { documentLayer, nameOfEntry, translate } from './entries.js'
import type { Entry, Layer } from './entries.js'
import { kindOfPath } from './files.js'
import type { SourceFiles } from './files.js'
import { isRemote } from './kustomization-fields.js'

/** A patch as a kustomization writes it: in a file of its own, or in place. */
interface Patch {
  readonly documents: readonly SourceDocument[]
  /** Of the kustomization. */
  readonly path: Path
  readonly target: unknown
  /** In place: its lines cannot be told apart, so all of it is at the patch's place. */
  readonly inPlace: boolean
}

/** The entries with the patches of a kustomization; a patch that fits none of them is told. */
export function patched(
  entries: readonly Entry[],
  kustomization: SourceDocument,
  resolve: (text: string) => string,
  files: SourceFiles,
): readonly Entry[] {
  let now = entries
  for (const patch of readPatches(kustomization, resolve, files)) {
    now = apply(patch, now, kustomization, files)
  }
  return now
}

function readPatches(
  kustomization: SourceDocument,
  resolve: (text: string) => string,
  files: SourceFiles,
): readonly Patch[] {
  const { value } = kustomization
  const patches: Patch[] = []
  for (const key of ['patchesStrategicMerge', 'patches', 'patchesJson6902']) {
    for (const [index, one] of listAt(value, [key]).entries()) {
      const path: Path = [key, index]
      const text = typeof one === 'string' ? one : (textAt(one, ['path']) ?? textAt(one, ['patch']))
      if (text === null) continue
      const inPlace = typeof one === 'string' ? text.includes('\n') : textAt(one, ['path']) === null
      // One that is missing was told already.
      if (!inPlace && (isRemote(text) || kindOfPath(resolve(text)) !== 'file')) continue
      const documents = inPlace
        ? readInPlace(text, kustomization, typeof one === 'string' ? path : [...path, 'patch'], files)
        : files.documents(resolve(text), kustomization.locate(path))
      patches.push({ documents, path, target: valueAt(one, ['target']), inPlace })
    }
  }
  return patches
}

/** A block of text in the kustomization: read by itself, its lines moved to where they stand. */
function readInPlace(
  text: string,
  kustomization: SourceDocument,
  path: Path,
  files: SourceFiles,
): readonly SourceDocument[] {
  const at = kustomization.locate(path)
  const { documents, problems } = readDocuments(text, kustomization.file)
  // A block begins in the line after its key, as a rule two columns further in.
  const move = (line: number): number => (text.includes('\n') ? at.line + line : at.line)
  for (const problem of problems) {
    const line = problem.at === null ? at.line : move(problem.at.line)
    files.fail(problem.message, { ...at, line }, problem.hint)
  }
  return documents.map((document) => ({
    ...document,
    locate: (inner) => {
      const { file, line, column } = document.locate(inner)
      return { file, line: move(line), column: column + at.column + 1 }
    },
  }))
}

function apply(
  patch: Patch,
  entries: readonly Entry[],
  kustomization: SourceDocument,
  files: SourceFiles,
): readonly Entry[] {
  let now = entries
  for (const document of patch.documents) {
    const isOperations = Array.isArray(document.value)
    const fits = patch.target === undefined ? ownTarget(document) : byTarget(patch.target)
    if (fits === null) continue
    const layer = isOperations ? operationsLayer(document) : documentLayer(document)
    const isDeletion = textAt(document.value, ['$patch']) === 'delete'
    let found = false
    now = now.flatMap((entry) => {
      if (!fits(entry)) return [entry]
      found = true
      return isDeletion ? [] : [{ ...entry, layers: [...entry.layers, layer] }]
    })
    if (!found) tellNothing(patch, document, entries, kustomization, files)
  }
  return now
}

type Fits = (entry: Entry) => boolean

function ownTarget({ value }: SourceDocument): Fits | null {
  const kind = textAt(value, ['kind'])
  const name = textAt(value, ['metadata', 'name'])
  const apiVersion = textAt(value, ['apiVersion'])
  if (kind === null || name === null || apiVersion === null) return null
  return (entry) =>
    entry.kind === kind && groupOf(entry) === groupOf({ apiVersion }) && entry.names.includes(name)
}

function byTarget(target: unknown): Fits {
  const wanted = (key: string, values: readonly string[]): boolean => {
    const pattern = textAt(target, [key])
    return pattern === null || values.some((value) => matches(pattern, value))
  }
  const selector = (textAt(target, ['labelSelector']) ?? '')
    .split(',')
    .filter((word) => /^[^!=]+={1,2}[^=]+$/.test(word))
  return (entry) =>
    wanted('kind', [entry.kind]) &&
    wanted('group', [groupOf(entry)]) &&
    wanted('name', entry.names) &&
    wanted('namespace', [entry.namespace ?? '']) &&
    selector.every((word) => {
      const [key = '', value = ''] = word.split(/={1,2}/)
      return entry.labels[key.trim()] === value.trim()
    })
}

/** Targets are patterns of a whole name. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`).test(value)
  } catch {
    return pattern === value
  }
}

function tellNothing(
  { target, path, inPlace }: Patch,
  document: SourceDocument,
  entries: readonly Entry[],
  kustomization: SourceDocument,
  files: SourceFiles,
): void {
  const of = target === undefined ? document.value : target
  const kind = textAt(of, ['kind'])
  const name = textAt(of, target === undefined ? ['metadata', 'name'] : ['name'])
  // Of no name: it is for all that fit, and there may be none.
  if (name === null) return
  const known = entries.filter((entry) => kind === null || entry.kind === kind).map(nameOfEntry)
  const at =
    target === undefined && !inPlace ? document.locate(['metadata', 'name']) : kustomization.locate(path)
  const hint =
    didYouMean(name, known) ?? `there is ${known.length === 0 ? `no ${kind ?? 'object'}` : known.join(', ')}`
  files.fail(`the patch is for ${kind ?? 'an object'} ${name}, which is not there`, at, hint)
}

/** Operations with a path each: `[{ op: replace, path: /spec/replicas, value: 3 }]`. */
function operationsLayer(document: SourceDocument): Layer {
  const operations = listAt(document.value, []).filter(isFields)
  return {
    find: (path, object) => {
      for (const [index, operation] of [...operations.entries()].toReversed()) {
        const pointer = textAt(operation, ['path'])
        if (pointer === null || operation['op'] === 'remove') continue
        const set = keysOf(pointer, object)
        if (set === null || !set.every((key, depth) => key === path[depth])) continue
        const rest = path.slice(set.length)
        const inner = translate(rest, valueAt(object, set), operation['value'])
        const whole: Path = [index, 'value', ...inner]
        const depth = Math.max(0, document.depthOf(whole) - 2)
        return { at: document.locate(whole), depth: set.length + Math.min(depth, inner.length) }
      }
      return null
    },
  }
}

/** `/spec/containers/0` as the keys of an object; null where it leads to a place that cannot be told, as `-` does. */
function keysOf(pointer: string, object: unknown): Path | null {
  const keys: (string | number)[] = []
  for (const token of pointer.split('/').slice(1)) {
    if (token === '-') return null
    const isIndex = Array.isArray(valueAt(object, keys)) && /^\d+$/.test(token)
    keys.push(isIndex ? Number(token) : token.replaceAll('~1', '/').replaceAll('~0', '~'))
  }
  return keys
}
