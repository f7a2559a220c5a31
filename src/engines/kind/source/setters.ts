import { kindOf, listAt, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'
import type { SourceDocument } from './documents.js'
import type { Entry, FoundPlace, Layer } from './entries.js'
import { keysAt } from './kustomization-fields.js'

/** What the short fields of a kustomization (images, replicas, labels, ...) set in an object. */
function setterLayer(document: SourceDocument, entry: Entry): Layer {
  const { value } = document
  const place = (path: Path, whole: Path): FoundPlace => ({ at: document.locate(path), depth: whole.length })
  return {
    find: (path, object) => {
      const key = path.at(-1)
      if (samePath(path, ['metadata', 'namespace']) && textAt(value, ['namespace']) !== null) {
        return place(['namespace'], path)
      }
      if (samePath(path, ['spec', 'replicas'])) {
        const index = listAt(value, ['replicas']).findIndex((one) => {
          return entry.names.includes(textAt(one, ['name']) ?? '')
        })
        return index === -1 ? null : place(['replicas', index, 'count'], path)
      }
      if (key === 'image' && typeof path.at(-2) === 'number') return imagePlace(value, path, object, place)
      if (typeof key !== 'string') return null
      return mapPlace(value, path, key, place)
    },
  }
}

type PlaceOf = (path: Path, whole: Path) => FoundPlace

function imagePlace(value: unknown, path: Path, object: unknown, place: PlaceOf): FoundPlace | null {
  const image = valueAt(object, path)
  if (typeof image !== 'string') return null
  const name = image.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
  const index = listAt(value, ['images']).findIndex((one) => {
    return (textAt(one, ['newName']) ?? textAt(one, ['name'])) === name
  })
  if (index === -1) return null
  const key = ['newTag', 'digest', 'newName'].find(
    (one) => valueAt(value, ['images', index, one]) !== undefined,
  )
  return place(['images', index, ...(key === undefined ? [] : [key])], path)
}

/** The maps that labels and annotations of a kustomization go to. */
const LABELLED: readonly string[] = ['labels', 'matchLabels', 'selector']

function mapPlace(value: unknown, path: Path, key: string, place: PlaceOf): FoundPlace | null {
  const parent = path.at(-2)
  if (parent === 'annotations' && keysAt(value, ['commonAnnotations']).includes(key)) {
    return place(['commonAnnotations', key], path)
  }
  if (typeof parent !== 'string' || !LABELLED.includes(parent)) return null
  if (keysAt(value, ['commonLabels']).includes(key)) return place(['commonLabels', key], path)
  const index = listAt(value, ['labels']).findIndex((_, at) =>
    keysAt(value, ['labels', at, 'pairs']).includes(key),
  )
  return index === -1 ? null : place(['labels', index, 'pairs', key], path)
}

function samePath(one: Path, other: Path): boolean {
  return one.length === other.length && one.every((key, index) => key === other[index])
}

/** Kinds whose names kustomize leaves as they are. */
const NAMED_FOR_GOOD: readonly string[] = [
  'Namespace',
  'CustomResourceDefinition.apiextensions.k8s.io',
  'APIService.apiregistration.k8s.io',
]

/** An entry with all that a kustomization does to every object. */
export function withSetters(entry: Entry, document: SourceDocument): Entry {
  const { value } = document
  const prefix = textAt(value, ['namePrefix']) ?? ''
  const suffix = textAt(value, ['nameSuffix']) ?? ''
  const name = `${prefix}${entry.names.at(-1) ?? ''}${suffix}`
  const renamed = prefix + suffix !== '' && !NAMED_FOR_GOOD.includes(kindOf(entry))
  const namespace = textAt(value, ['namespace'])
  return {
    ...entry,
    names: renamed ? [...entry.names, name] : entry.names,
    namespace: namespace ?? entry.namespace,
    layers: [...entry.layers, setterLayer(document, entry)],
  }
}
