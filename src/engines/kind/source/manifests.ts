import { isAbsolute } from 'node:path'
import type { Problem, SourcePosition } from '../../../core/error.js'
import { textAt } from '../../../core/kubernetes-objects.js'
import type { LocateObject, ManifestObject } from '../../../core/kubernetes-objects.js'
import { byPlace } from '../../../core/yaml.js'
import { readDocuments } from './documents.js'
import { locateIn, nameOfEntry } from './entries.js'
import type { Entry } from './entries.js'
import { kindOfPath, kustomizationIn, manifestsIn, SourceFiles } from './files.js'
import { kustomize } from './kubectl.js'
import { readKustomization } from './kustomization.js'
import { keyOf, objectsOf, withoutDoubles } from './objects.js'

export interface ManifestsRequest {
  /** Absolute paths: folders with a kustomization, folders of YAML files, YAML files. */
  readonly paths: readonly string[]
  /** The program that puts kustomizations together; by default `kubectl`. */
  readonly kubectl?: string
  /** The environment that it runs in. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Manifests {
  /** Empty where there is a problem. */
  readonly objects: readonly ManifestObject[]
  /** All at once, in the order of the files. */
  readonly problems: readonly Problem[]
  /** Absolute paths of every file that the objects were read from, also of those that are named but not there. */
  readonly inputs: readonly string[]
  /** Where an object, as it was read or as it is applied, writes a field; else the deepest part of it that is written. */
  readonly locate: LocateObject
}

/** Reads manifests, however they are written. Nothing comes from the network. */
export async function readManifests(request: ManifestsRequest, signal: AbortSignal): Promise<Manifests> {
  const files = new SourceFiles()
  const objects: ManifestObject[] = []
  const entries: Entry[] = []
  for (const path of request.paths) {
    const read = await readPath(path, request, files, signal)
    objects.push(...read.objects)
    entries.push(...read.entries)
  }
  // What files of a folder, or two paths, both have; a kustomization was looked through for itself.
  withoutDoubles(entries, files)
  const problems = unique(files.problems).toSorted(byPlace)
  return {
    objects: problems.length > 0 ? [] : objects,
    problems,
    inputs: files.inputs,
    locate: locator(entries),
  }
}

interface ReadPath {
  readonly objects: readonly ManifestObject[]
  readonly entries: readonly Entry[]
}

const NOTHING: ReadPath = { objects: [], entries: [] }

async function readPath(
  path: string,
  request: ManifestsRequest,
  files: SourceFiles,
  signal: AbortSignal,
): Promise<ReadPath> {
  signal.throwIfAborted()
  if (!isAbsolute(path)) throw new Error(`not an absolute path: ${path}`)
  const kind = kindOfPath(path)
  if (kind === 'folder') {
    const kustomization = kustomizationIn(path)
    if (kustomization !== null) return await readRendered(path, kustomization, request, files, signal)
    const found = await manifestsIn(path)
    if (found.length === 0)
      files.fail(`${path} holds no manifests`, null, 'name a folder with a kustomization.yaml')
    return readPlain(found, files)
  }
  if (kind === null) {
    files.note(path)
    files.fail(`${path} does not exist`, null)
    return NOTHING
  }
  return readPlain([path], files)
}

function readPlain(paths: readonly string[], files: SourceFiles): ReadPath {
  const documents = paths.flatMap((path) => files.documents(path, null))
  const written = objectsOf(documents, files)
  return { objects: written.map(({ object }) => object), entries: written.map(({ entry }) => entry) }
}

async function readRendered(
  folder: string,
  kustomization: string,
  { kubectl = 'kubectl', env }: ManifestsRequest,
  files: SourceFiles,
  signal: AbortSignal,
): Promise<ReadPath> {
  const before = files.problems.length
  const entries = await readKustomization(folder, files)
  // It would stop at the first of them, or go to the network.
  if (files.problems.length > before) return { objects: [], entries }
  const start: SourcePosition = { file: kustomization, line: 1, column: 1 }
  const rendered = await kustomize({ kubectl, folder, env }, signal)
  if ('failure' in rendered) {
    files.fail(`kustomize: ${rendered.failure}`, named(rendered.failure, files.inputs) ?? start)
    return { objects: [], entries }
  }
  const { documents, problems } = readDocuments(rendered.text, kustomization)
  for (const { message } of problems) files.fail(`kustomize makes no YAML of it: ${message}`, start)
  return { objects: documents.map(({ value }) => value as ManifestObject), entries }
}

/** The file that a message is about: the last one that it names. */
function named(message: string, inputs: readonly string[]): SourcePosition | null {
  const found = inputs
    .map((file) => ({ file, at: message.lastIndexOf(file.slice(file.lastIndexOf('/') + 1)) }))
    .filter(({ at }) => at !== -1)
    .sort((one, other) => other.at - one.at)[0]
  return found === undefined ? null : { file: found.file, line: 1, column: 1 }
}

/** A hash of the contents, as kustomize ends the names of what it generates with. */
const HASH = /-[a-z0-9]{10}$/

function locator(entries: readonly Entry[]): LocateObject {
  const byKey = new Map<string, Entry[]>()
  for (const entry of entries) {
    const key = keyOf(entry, nameOfEntry(entry))
    byKey.set(key, [...(byKey.get(key) ?? []), entry])
  }
  return (object, path) => {
    const { name } = object.metadata
    const found =
      byKey.get(keyOf(object, name)) ?? hashedOnly(byKey.get(keyOf(object, name.replace(HASH, ''))))
    const namespace = textAt(object, ['metadata', 'namespace'])
    const entry = found?.find((one) => one.namespace === namespace) ?? found?.[0]
    return entry === undefined ? null : locateIn(entry, path, object)
  }
}

function hashedOnly(entries: readonly Entry[] | undefined): readonly Entry[] | undefined {
  return entries?.filter(({ hashed }) => hashed)
}

function unique(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Set<string>()
  return problems.filter((problem) => {
    const key = JSON.stringify([problem.message, problem.at])
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
