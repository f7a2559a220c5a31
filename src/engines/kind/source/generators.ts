import { listAt, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'
import type { SourceDocument } from './documents.js'
import type { Entry, Layer } from './entries.js'
import { fileKey, GENERATORS } from './kustomization-fields.js'

/** The entries with what the generators of a kustomization make, and what they add to what is there. */
export function generated(entries: readonly Entry[], kustomization: SourceDocument): readonly Entry[] {
  let now = entries
  const { value } = kustomization
  for (const key of GENERATORS) {
    const kind = key === 'configMapGenerator' ? 'ConfigMap' : 'Secret'
    for (const [index, one] of listAt(value, [key]).entries()) {
      const name = textAt(one, ['name'])
      if (name === null) continue
      const path: Path = [key, index]
      const layer = generatorLayer(kustomization, path)
      const isNew = !['merge', 'replace'].includes(textAt(one, ['behavior']) ?? '')
      const found = now.some((entry) => entry.kind === kind && entry.names.includes(name))
      if (isNew || !found) now = [...now, newEntry(kind, name, kustomization, path, layer)]
      else {
        now = now.map((entry) =>
          entry.kind === kind && entry.names.includes(name)
            ? { ...entry, layers: [...entry.layers, layer] }
            : entry,
        )
      }
    }
  }
  return now
}

function newEntry(
  kind: string,
  name: string,
  kustomization: SourceDocument,
  path: Path,
  layer: Layer,
): Entry {
  const { value } = kustomization
  const isPlain = [[...path, 'options'], ['generatorOptions']].some(
    (options) => valueAt(value, [...options, 'disableNameSuffixHash']) === true,
  )
  return {
    apiVersion: 'v1',
    kind,
    names: [name],
    namespace: textAt(value, [...path, 'namespace']),
    hashed: !isPlain,
    labels: {},
    at: kustomization.locate(path),
    layers: [layer],
  }
}

/** Keys of the data are where their literal or file is named. */
function generatorLayer(kustomization: SourceDocument, base: Path): Layer {
  const { value } = kustomization
  return {
    find: ([first, key]) => {
      if (typeof key !== 'string' || !['data', 'binaryData', 'stringData'].includes(String(first)))
        return null
      const literal = listAt(value, [...base, 'literals']).findIndex(
        (text) => typeof text === 'string' && text.startsWith(`${key}=`),
      )
      if (literal !== -1) return { at: kustomization.locate([...base, 'literals', literal]), depth: 2 }
      const file = listAt(value, [...base, 'files']).findIndex(
        (text) => typeof text === 'string' && fileKey(text) === key,
      )
      return file === -1 ? null : { at: kustomization.locate([...base, 'files', file]), depth: 2 }
    },
  }
}
