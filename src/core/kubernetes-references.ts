import { fieldsAt, kindOf, listAt, nameOf, podTemplatePath, textAt, valueAt } from './kubernetes-objects.js'
import type { Findings, ManifestObject } from './kubernetes-objects.js'
import { didYouMean } from './suggest.js'
import type { Path } from './yaml.js'

/** A name that a pod needs something by. */
interface Reference {
  readonly kind: string
  readonly name: string
  /** The key of it that is wanted, with its path; null: all of it. */
  readonly key: { readonly name: string; readonly path: Path } | null
  readonly path: Path
}

/** There in every namespace without a manifest. */
const GIVEN: readonly string[] = ['ConfigMap kube-root-ca.crt', 'ServiceAccount default']

/**
 * Tells the ConfigMaps, Secrets, claims and accounts that pods need and no manifest has: their containers would wait for
 * ever, and the namespace is the stack's own, so nobody else supplies them.
 */
export function checkReferences(objects: readonly ManifestObject[], findings: Findings): void {
  const there = new Map(objects.map((object) => [`${kindOf(object)} ${object.metadata.name}`, object]))
  for (const object of objects) {
    const template = podTemplatePath(object)
    if (template === null) continue
    for (const reference of referencesOf(object, [...template, 'spec'])) {
      check(object, reference, there, findings)
    }
  }
}

function check(
  object: ManifestObject,
  { kind, name, key, path }: Reference,
  there: ReadonlyMap<string, ManifestObject>,
  findings: Findings,
): void {
  const found = there.get(`${kind} ${name}`)
  if (found === undefined) {
    if (GIVEN.includes(`${kind} ${name}`) || isClaimOfSet(kind, name, there.values())) return
    const known = [...there.values()].filter((one) => one.kind === kind).map((one) => one.metadata.name)
    const hint = didYouMean(name, known) ?? 'add it to the manifests, or mark it as optional'
    findings.problem(object, path, `${nameOf(object)} needs the ${kind} "${name}", which is not there`, hint)
    return
  }
  // The server itself fills this one.
  if (key === null || found['type'] === 'kubernetes.io/service-account-token') return
  const keys = ['data', 'binaryData', 'stringData'].flatMap((part) => Object.keys(fieldsAt(found, [part])))
  if (keys.includes(key.name)) return
  const hint = didYouMean(key.name, keys) ?? `it has ${keys.join(', ') || 'no keys'}`
  const what = `${nameOf(object)} needs "${key.name}" of the ${kind} ${name}, which has no such key`
  findings.problem(object, key.path, what, hint)
}

/** `data-postgres-0`: made for a pod of a StatefulSet. */
function isClaimOfSet(kind: string, name: string, objects: Iterable<ManifestObject>): boolean {
  if (kind !== 'PersistentVolumeClaim') return false
  const set = [...objects].filter((object) => kindOf(object) === 'StatefulSet.apps')
  return set.some((object) =>
    listAt(object, ['spec', 'volumeClaimTemplates']).some((claim) => {
      const begin = `${textAt(claim, ['metadata', 'name']) ?? ''}-${object.metadata.name}-`
      return name.startsWith(begin) && /^\d+$/.test(name.slice(begin.length))
    }),
  )
}

function referencesOf(object: ManifestObject, spec: Path): readonly Reference[] {
  const containers = ['containers', 'initContainers'].flatMap((key) =>
    listAt(object, [...spec, key]).flatMap((_, index) => ofContainer(object, [...spec, key, index])),
  )
  const volumes = listAt(object, [...spec, 'volumes']).flatMap((_, index) =>
    ofVolume(object, [...spec, 'volumes', index]),
  )
  const account = textAt(object, [...spec, 'serviceAccountName'])
  const path = [...spec, 'serviceAccountName']
  const accounts = account === null ? [] : [{ kind: 'ServiceAccount', name: account, key: null, path }]
  return [...containers, ...volumes, ...accounts]
}

function ofContainer(object: ManifestObject, container: Path): readonly Reference[] {
  const whole = listAt(object, [...container, 'envFrom']).flatMap((_, index) => [
    ...one(object, 'ConfigMap', [...container, 'envFrom', index, 'configMapRef'], null),
    ...one(object, 'Secret', [...container, 'envFrom', index, 'secretRef'], null),
  ])
  const single = listAt(object, [...container, 'env']).flatMap((_, index) => {
    const from: Path = [...container, 'env', index, 'valueFrom']
    return [
      ...one(object, 'ConfigMap', [...from, 'configMapKeyRef'], 'key'),
      ...one(object, 'Secret', [...from, 'secretKeyRef'], 'key'),
    ]
  })
  return [...whole, ...single]
}

function ofVolume(object: ManifestObject, volume: Path): readonly Reference[] {
  const projected: Path = [...volume, 'projected', 'sources']
  return [
    ...withItems(object, 'ConfigMap', [...volume, 'configMap'], 'name'),
    ...withItems(object, 'Secret', [...volume, 'secret'], 'secretName'),
    ...one(object, 'PersistentVolumeClaim', [...volume, 'persistentVolumeClaim'], null, 'claimName'),
    ...listAt(object, projected).flatMap((_, index) => [
      ...withItems(object, 'ConfigMap', [...projected, index, 'configMap'], 'name'),
      ...withItems(object, 'Secret', [...projected, index, 'secret'], 'name'),
    ]),
  ]
}

/** The source of a volume: all of it, and each key that it picks. */
function withItems(object: ManifestObject, kind: string, path: Path, nameKey: string): readonly Reference[] {
  return one(object, kind, path, null, nameKey).flatMap((whole) => [
    whole,
    ...listAt(object, [...path, 'items']).flatMap((item, index): readonly Reference[] => {
      const key = textAt(item, ['key'])
      return key === null ? [] : [{ ...whole, key: { name: key, path: [...path, 'items', index, 'key'] } }]
    }),
  ])
}

function one(
  object: ManifestObject,
  kind: string,
  path: Path,
  keyField: string | null,
  nameField = 'name',
): readonly Reference[] {
  const source = valueAt(object, path)
  const name = textAt(source, [nameField])
  if (name === null || valueAt(source, ['optional']) === true) return []
  const key = keyField === null ? null : textAt(source, [keyField])
  return [
    {
      kind,
      name,
      key: key === null ? null : { name: key, path: [...path, keyField ?? ''] },
      path: [...path, nameField],
    },
  ]
}
