import { readdir } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { SourcePosition } from '../../../core/error.js'
import { isFields } from '../../../core/kubernetes-objects.js'
import { didYouMean } from '../../../core/suggest.js'
import type { Path } from '../../../core/yaml.js'
import type { SourceDocument } from './documents.js'
import type { Entry } from './entries.js'
import { kindOfPath, KUSTOMIZATION_NAMES, kustomizationIn, SOURCE_CAPS } from './files.js'
import type { SourceFiles } from './files.js'
import { generated } from './generators.js'
import { chartFields, isRemote, KNOWN_FIELDS, looksRemote, namedPaths } from './kustomization-fields.js'
import type { NamedPath } from './kustomization-fields.js'
import { objectsOf, withoutDoubles } from './objects.js'
import { patched } from './patches.js'
import { withSetters } from './setters.js'

/**
 * Reads a kustomization and all that it names, as far as it tells where objects are written: kustomize itself puts them
 * together. What it would fail for, or go to the network for, is told at its place.
 * @param base what a component is given to change
 */
export async function readKustomization(
  folder: string,
  files: SourceFiles,
  from: SourcePosition | null = null,
  chain: readonly string[] = [],
  base: readonly Entry[] = [],
): Promise<readonly Entry[]> {
  const file = kustomizationIn(folder)
  if (file === null) {
    files.note(resolve(folder, 'kustomization.yaml'))
    const hint = `one of ${KUSTOMIZATION_NAMES.join(', ')} makes it one`
    files.fail(`the folder ${folder} has no kustomization`, from, hint)
    return []
  }
  if (chain.includes(folder) || chain.length >= SOURCE_CAPS.depth) {
    const why = chain.includes(folder) ? 'leads back to itself' : 'is nested too deep'
    files.fail(`the kustomization ${why}: ${[...chain, folder].join(' -> ')}`, from)
    return []
  }
  const [document] = files.documents(file, from)
  if (document === undefined) return []
  if (!isFields(document.value)) {
    files.fail('a kustomization is a map', document.locate([]))
    return []
  }
  checkFields(document, files)
  return await put({ folder, document, files, chain: [...chain, folder] }, base)
}

interface Step {
  readonly folder: string
  readonly document: SourceDocument
  readonly files: SourceFiles
  readonly chain: readonly string[]
}

/** In the order in which kustomize does it. */
async function put(step: Step, base: readonly Entry[]): Promise<readonly Entry[]> {
  const { document, files, folder } = step
  let found = base
  for (const named of namedPaths(document.value)) found = await withNamed(step, named, found)
  const whole = generated(withoutDoubles(found, files), document)
  const changed = patched(whole, document, (text) => resolve(folder, text), files)
  return changed.map((entry) => withSetters(entry, document))
}

function checkFields(document: SourceDocument, files: SourceFiles): void {
  for (const key of Object.keys(document.value as object)) {
    if (KNOWN_FIELDS.includes(key)) continue
    files.fail(`a kustomization has no field "${key}"`, document.locate([key]), didYouMean(key, KNOWN_FIELDS))
  }
  for (const key of chartFields(document.value)) {
    const hint = 'write what the chart makes into a file: helm template ... > chart.yaml'
    files.fail(`${key}: charts come from the network, and are not read`, document.locate([key]), hint)
  }
}

/** The entries with those of something that is named; what holds none is only looked at. */
async function withNamed(
  step: Step,
  { text, path, mayBeFolder }: NamedPath,
  entries: readonly Entry[],
): Promise<readonly Entry[]> {
  const { folder, document, files } = step
  const at = document.locate(path)
  const target = resolve(folder, text)
  const there = isRemote(text) ? null : kindOfPath(target)
  if (there === null) {
    await tellMissing(step, text, at)
    return entries
  }
  if (there === 'folder') {
    if (mayBeFolder) return await withFolder(step, path, target, entries)
    files.fail(`${target} is a folder, not a file`, at)
    return entries
  }
  files.note(target)
  if (path[0] !== 'resources' && path[0] !== 'bases') return entries
  if (KUSTOMIZATION_NAMES.includes(basename(target))) {
    files.fail(`${text} is a kustomization: name its folder`, at)
    return entries
  }
  return [...entries, ...objectsOf(files.documents(target, at), files).map(({ entry }) => entry)]
}

async function tellMissing({ folder, files }: Step, text: string, at: SourcePosition): Promise<void> {
  if (looksRemote(text)) {
    const hint = 'copy it into the project: what comes from the network may be another thing tomorrow'
    files.fail(`${text} is in the network, and is not read`, at, hint)
    return
  }
  const target = resolve(folder, text)
  files.note(target)
  const names = await readdir(dirname(target)).catch(() => [])
  files.fail(`${target} does not exist`, at, didYouMean(basename(target), names))
}

async function withFolder(
  { files, document, chain }: Step,
  path: Path,
  target: string,
  entries: readonly Entry[],
): Promise<readonly Entry[]> {
  const at = document.locate(path)
  if (path[0] === 'components') return await readKustomization(target, files, at, chain, entries)
  const own = await readKustomization(target, files, at, chain)
  // What makes or changes objects is not applied itself.
  return path[0] === 'resources' || path[0] === 'bases' ? [...entries, ...own] : entries
}
