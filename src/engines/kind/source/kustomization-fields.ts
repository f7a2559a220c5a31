import { fieldsAt, listAt, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'

/** What `kubectl kustomize` knows at the top of a kustomization. */
export const KNOWN_FIELDS: readonly string[] = [
  'apiVersion',
  'bases',
  'buildMetadata',
  'commonAnnotations',
  'commonLabels',
  'components',
  'configMapGenerator',
  'configurations',
  'crds',
  'generatorOptions',
  'generators',
  'helmChartInflationGenerator',
  'helmCharts',
  'helmGlobals',
  'images',
  'imageTags',
  'inventory',
  'kind',
  'labels',
  'metadata',
  'namePrefix',
  'nameSuffix',
  'namespace',
  'openapi',
  'patches',
  'patchesJson6902',
  'patchesStrategicMerge',
  'replacements',
  'replicas',
  'resources',
  'secretGenerator',
  'sortOptions',
  'transformers',
  'validators',
  'vars',
]

/** A file or folder that a kustomization names. */
export interface NamedPath {
  readonly text: string
  readonly path: Path
  /** Whether a folder may be meant, with a kustomization of its own. */
  readonly mayBeFolder: boolean
}

const FOLDERS: readonly string[] = [
  'resources',
  'bases',
  'components',
  'generators',
  'transformers',
  'validators',
]
const FILES: readonly string[] = ['crds', 'configurations', 'patchesStrategicMerge']
const WITH_PATH: readonly string[] = ['patches', 'patchesJson6902', 'replacements']
export const GENERATORS = ['configMapGenerator', 'secretGenerator'] as const

/** Everything that a kustomization reads, by whatever field. */
export function namedPaths(value: unknown): readonly NamedPath[] {
  const named = (path: Path, mayBeFolder: boolean): readonly NamedPath[] => {
    const text = textAt(value, path)
    // Of several lines: it is written here itself.
    return text === null || text.includes('\n') ? [] : [{ text, path, mayBeFolder }]
  }
  const each = (key: string): readonly Path[] => listAt(value, [key]).map((_, index) => [key, index])
  return [
    ...FOLDERS.flatMap((key) => each(key).flatMap((path) => named(path, true))),
    ...FILES.flatMap((key) => each(key).flatMap((path) => named(path, false))),
    ...WITH_PATH.flatMap((key) => each(key).flatMap((path) => named([...path, 'path'], false))),
    ...named(['openapi', 'path'], false),
    ...GENERATORS.flatMap((key) =>
      each(key).flatMap((path) => [
        ...generatorFiles(value, path),
        ...listAt(value, [...path, 'envs']).flatMap((_, index) => named([...path, 'envs', index], false)),
        ...named([...path, 'env'], false),
      ]),
    ),
  ]
}

/** `file`, or `KEY=file`. */
function generatorFiles(value: unknown, path: Path): readonly NamedPath[] {
  return listAt(value, [...path, 'files']).flatMap((text, index) =>
    typeof text === 'string'
      ? [{ text: text.slice(text.indexOf('=') + 1), path: [...path, 'files', index], mayBeFolder: false }]
      : [],
  )
}

/** Where a kustomization wants charts, which come from the network and by another program. */
export function chartFields(value: unknown): readonly string[] {
  return ['helmCharts', 'helmChartInflationGenerator'].filter((key) => valueAt(value, [key]) !== undefined)
}

/** What kustomize takes from the network even where a file of that name is there. */
export function isRemote(text: string): boolean {
  return /^(?:git::|gh:|(?:www\.)?github\.com[:/]|[\w.-]+@[\w.-]+[:/])|:\/\/|\?(?:.*&)?(?:ref|version)=/i.test(
    text,
  )
}

/** `example.org/team/repository`: hardly a file of this folder, where there is none. */
export function looksRemote(text: string): boolean {
  return isRemote(text) || /^[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\/[\w.-]+\/./i.test(text)
}

/** The key that a generator's `files` entry makes. */
export function fileKey(text: string): string {
  const at = text.indexOf('=')
  return at === -1 ? text.slice(text.lastIndexOf('/') + 1) : text.slice(0, at)
}

/** Texts of a map in a kustomization: `commonLabels`. */
export function keysAt(value: unknown, path: Path): readonly string[] {
  return Object.keys(fieldsAt(value, path))
}
