import { isWithin } from '../../core/update.js'
import { resolvePath } from '../../core/watch.js'
import { readYaml } from '../../core/yaml.js'
import type { ScannedFolder } from './scan.js'

/** What a source folder is taken for; from the presets. */
export type DetectPreset = (view: {
  readonly files: readonly string[]
  readonly texts: Readonly<Record<string, string>>
  readonly image: string | null
}) => { readonly preset: string; readonly reason: string } | null

export interface FoundService {
  readonly name: string
  /** Folder of its sources, relative to the project; null: it is not built here. */
  readonly folder: string | null
  readonly preset: string | null
  readonly reason: string | null
  /** The Compose file has watch rules for it. */
  readonly watched: boolean
}

/** What there is in a project that devstack has a key for. Paths are relative to the project. */
export interface FoundParts {
  /** The Compose file that `up` would take, or the best guess; null: there is none. */
  readonly compose: string | null
  /** Other Compose files. */
  readonly otherCompose: readonly string[]
  /** `name` of the Compose file. */
  readonly composeName: string | null
  readonly services: readonly FoundService[]
  /** Applications that no service of the Compose file is built from. */
  readonly applications: readonly {
    readonly folder: string
    readonly preset: string
    readonly reason: string
  }[]
  /** Kustomize folders, and folders of plain manifests. */
  readonly manifests: readonly string[]
  /** A configuration of kind. */
  readonly kindCluster: string | null
}

const COMPOSE = /^(docker-)?compose([.-][\w.-]+)?\.ya?ml$/
const USUAL = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']
const KUSTOMIZE = /^kustomization(\.ya?ml)?$|^Kustomization$/

/** The files whose text {@link findParts} wants. */
export function isTelling(file: string): boolean {
  return /\.ya?ml$/.test(file)
}

export function findParts(folders: readonly ScannedFolder[], detect: DetectPreset): FoundParts {
  const composeFiles = folders.flatMap(({ path, files }) =>
    files.filter((file) => COMPOSE.test(file)).map((file) => join(path, file)),
  )
  const compose = composeFiles.toSorted(byLikelihood)[0] ?? null
  const model = compose === null ? {} : modelOf(compose, folders)
  const services = servicesOf(compose, model, folders, detect)
  const built = new Set(services.map(({ folder }) => folder))
  return {
    compose,
    otherCompose: composeFiles.filter((file) => file !== compose),
    composeName: typeof model['name'] === 'string' ? model['name'] : null,
    services,
    applications: folders.flatMap(({ path, files, texts }) => {
      const found = built.has(path) ? null : detect({ files, texts, image: null })
      return found === null || found.preset === 'nginx'
        ? []
        : [{ folder: path === '' ? '.' : path, ...found }]
    }),
    manifests: manifestFolders(folders),
    kindCluster: kindConfig(folders),
  }
}

/** The usual names first, nearest to the project's folder first. */
function byLikelihood(one: string, other: string): number {
  const rank = (file: string) => {
    const name = file.slice(file.lastIndexOf('/') + 1)
    const usual = USUAL.indexOf(name)
    return [usual < 0 ? 1 : 0, file.split('/').length, usual] as const
  }
  const [a, b] = [rank(one), rank(other)]
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || (one < other ? -1 : 1)
}

type YamlMap = Readonly<Record<string, unknown>>

function modelOf(file: string, folders: readonly ScannedFolder[]): YamlMap {
  const [value] = readYaml(textOf(file, folders), file).documents
  return asMap(value)
}

function servicesOf(
  compose: string | null,
  model: YamlMap,
  folders: readonly ScannedFolder[],
  detect: DetectPreset,
): readonly FoundService[] {
  const base = compose === null ? '' : parent(compose)
  return Object.entries(asMap(model['services'])).map(([name, written]) => {
    const service = asMap(written)
    const { build, image } = service
    const context =
      typeof build === 'string' ? build : build === undefined ? null : (asMap(build)['context'] ?? '.')
    const folder = typeof context === 'string' ? resolvePath(`/${base}`, context).slice(1) : null
    const scanned = folders.find(({ path }) => path === folder)
    const { files, texts } = scanned ?? { files: [], texts: {} }
    const found = detect({ files, texts, image: typeof image === 'string' ? image : null })
    const rules = asMap(service['develop'])['watch']
    const watched = Array.isArray(rules) && rules.length > 0
    return { name, folder, preset: found?.preset ?? null, reason: found?.reason ?? null, watched }
  })
}

/** Kustomize folders; else those with Kubernetes objects, without what lies within one already named. */
function manifestFolders(folders: readonly ScannedFolder[]): readonly string[] {
  const kustomized = folders
    .filter(({ files }) => files.some((file) => KUSTOMIZE.test(file)))
    .map(({ path }) => path)
  const plain = folders
    .filter(({ texts }) =>
      Object.entries(texts).some(([file, text]) => !COMPOSE.test(file) && isManifest(text)),
    )
    .map(({ path }) => path)
  const named = [...kustomized]
  for (const path of plain) if (!named.some((known) => isWithin(`/${known}`, `/${path}`))) named.push(path)
  return named.map((path) => (path === '' ? '.' : path))
}

function isManifest(text: string): boolean {
  return (
    /^apiVersion:/m.test(text) && /^kind:/m.test(text) && !/^apiVersion:[ \t]*kind\.x-k8s\.io/m.test(text)
  )
}

function kindConfig(folders: readonly ScannedFolder[]): string | null {
  for (const { path, texts } of folders) {
    for (const [file, text] of Object.entries(texts)) {
      if (/^apiVersion:[ \t]*kind\.x-k8s\.io/m.test(text)) return join(path, file)
    }
  }
  return null
}

function textOf(file: string, folders: readonly ScannedFolder[]): string {
  const folder = folders.find(({ path }) => path === parent(file))
  return folder?.texts[file.slice(file.lastIndexOf('/') + 1)] ?? ''
}

function parent(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

function join(folder: string, file: string): string {
  return folder === '' ? file : `${folder}/${file}`
}

function asMap(value: unknown): YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as YamlMap) : {}
}
