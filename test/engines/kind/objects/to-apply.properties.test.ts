import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ManifestObject } from '../../../../src/core/kubernetes-objects.js'
import { STAGES } from '../../../../src/engines/kind/objects/order.js'
import { toApply } from '../../../../src/engines/kind/objects/to-apply.js'
import { containerNotes } from '../../../../src/engines/kind/pods.js'
import type { Pod } from '../../../../src/engines/kind/pods.js'
import { decide, image } from './decide.js'

const aCommand = fc.option(
  fc.array(fc.constantFrom('python', '-m', '$(A)', '$$', '/bin/sh'), { maxLength: 3 }),
  { nil: undefined },
)
const aContainer = fc.record(
  {
    name: fc.constantFrom('a', 'b', 'constructor'),
    image: fc.constantFrom('shop-api', 'postgres', 'redis:8'),
    command: aCommand,
    args: aCommand,
    securityContext: fc.record({ readOnlyRootFilesystem: fc.boolean() }),
    ports: fc.array(fc.record({ containerPort: fc.nat(99), hostPort: fc.nat(99) }, { requiredKeys: [] }), {
      maxLength: 2,
    }),
    volumeMounts: fc.array(
      fc.record({ name: fc.constantFrom('v', 'devstack-run'), mountPath: fc.constant('/x') }),
      { maxLength: 2 },
    ),
    restartPolicy: fc.constantFrom('Always', undefined),
  },
  { requiredKeys: ['name', 'image'] },
)
const someContainers = fc.uniqueArray(aContainer, {
  minLength: 1,
  maxLength: 2,
  selector: ({ name }) => name,
})
const labels = fc.dictionary(
  fc.constantFrom('app', 'x', 'app.kubernetes.io/managed-by'),
  fc.constantFrom('a', 'b'),
  { maxKeys: 2 },
)
const anObject: fc.Arbitrary<ManifestObject> = fc
  .record({
    type: fc.constantFrom(
      'apps/v1 Deployment',
      'apps/v1 StatefulSet',
      'batch/v1 Job',
      'batch/v1 CronJob',
      'v1 Pod',
      'v1 Service',
      'v1 ConfigMap',
    ),
    name: fc.constantFrom('a', 'b', 'c', 'constructor'),
    namespace: fc.constantFrom('shop', undefined),
    labels,
    annotations: labels,
    podLabels: labels,
    containers: someContainers,
    initContainers: fc.option(someContainers, { nil: undefined }),
  })
  .map(({ type, name, namespace, labels, annotations, podLabels, containers, initContainers }) => {
    const [apiVersion = '', kind = ''] = type.split(' ')
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }), labels, annotations }
    const template = { metadata: { labels: podLabels }, spec: { containers, initContainers } }
    const spec = {
      Pod: template.spec,
      CronJob: { jobTemplate: { spec: { template } } },
      Service: { type: 'NodePort', ports: [{ port: 1, nodePort: 2 }] },
    }[kind] ?? { template, ttlSecondsAfterFinished: 1 }
    return { apiVersion, kind, metadata, spec }
  })
const someObjects = fc.uniqueArray(anObject, {
  maxLength: 5,
  selector: ({ kind, metadata }) => `${kind} ${metadata.name}`,
})
const override = fc.option(
  fc.record({ entrypoint: fc.constant(['reload']), command: fc.constant(['x']) }, { requiredKeys: [] }),
  { nil: null },
)
const decisions = fc.record({
  commands: fc.dictionary(fc.constantFrom('a', 'b', 'constructor'), override),
  gated: fc.subarray(['a', 'b', 'c', 'constructor']),
  watched: fc.subarray(['a', 'b', 'c', 'constructor']).map((names) => new Set(names)),
  knows: fc.boolean(),
})
const cases = fc.tuple(someObjects, decisions).map(([objects, { gated, knows, ...more }]) => {
  const known = {
    'shop-api': image('shop-api:ds-1'),
    postgres: image('devstack/postgres:ds-2', knows ? {} : { config: null }),
  }
  return {
    objects,
    decide: (of: readonly ManifestObject[]) =>
      decide(of, { ...more, images: known, gate: (service) => gated.includes(service) }),
  }
})
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('applied to its own outcome it changes nothing', () => {
  fc.assert(
    fc.property(cases, ({ objects, decide }) => {
      const once = toApply(objects, decide(objects))
      const outcome = plain(once.objects.map(({ object }) => object)) as ManifestObject[]
      const twice = toApply(outcome, decide(outcome))
      expect(plain(twice.objects)).toEqual(
        plain(
          once.objects.map((one) => ({
            ...one,
            workload: one.workload === null ? null : { ...one.workload },
          })),
        ),
      )
    }),
    { numRuns: 500 },
  )
})

test('every object keeps its kind and name, its stage comes in order, and a service has the hash in its notes', () => {
  fc.assert(
    fc.property(cases, ({ objects, decide }) => {
      const before = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      const { objects: after } = toApply(objects, decide(objects))
      const names = after.map(({ object }) => `${object.kind} ${object.metadata.name}`)
      expect(names.filter((name) => name !== 'ConfigMap devstack-gate').sort()).toEqual(before.sort())
      const stages = after.map(({ stage }) => STAGES.indexOf(stage))
      expect(stages).toEqual(stages.toSorted((one, other) => one - other))
      for (const { object, workload, configHash } of after) {
        if (workload === null) continue
        const pod = (object.kind === 'Pod' ? object : (object['spec'] as { template: Pod }).template) as Pod
        const notes = Object.entries(containerNotes(pod))
        expect(Object.fromEntries(notes.map(([name, note]) => [name, note.service]))).toEqual(
          workload.containers,
        )
        for (const [, note] of notes) expect(note.configHash).toBe(configHash)
      }
    }),
    { numRuns: 300 },
  )
})

test('hashes do not depend on the order of keys', () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, inner]) => [key, reversed(inner)]),
    )
  }
  fc.assert(
    fc.property(cases, ({ objects, decide }) => {
      const hashes = (of: readonly ManifestObject[]) =>
        toApply(of, decide(of)).objects.map(({ hash, fixedHash, configHash }) => [
          hash,
          fixedHash,
          configHash,
        ])
      expect(hashes(objects.map((one) => reversed(one) as ManifestObject))).toEqual(hashes(objects))
    }),
    { numRuns: 200 },
  )
})
