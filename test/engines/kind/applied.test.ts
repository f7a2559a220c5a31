import { describe, expect, it } from 'vitest'
import { compareApplied, keyOf } from '../../../src/engines/kind/applied.js'
import type { KubeObject } from '../../../src/engines/kind/kube-ports.js'
import { OBJECT_ANNOTATION } from '../../../src/engines/kind/objects/annotations.js'
import type { Desired, DesiredObject } from '../../../src/engines/kind/objects/to-apply.js'

function object(kind: string, name: string, hash = 'h', fixed = 'f', rest: object = {}): KubeObject {
  const annotations = { [OBJECT_ANNOTATION.hash]: hash, [OBJECT_ANNOTATION.fixedHash]: fixed }
  return { apiVersion: kind === 'Job' ? 'batch/v1' : 'v1', kind, metadata: { name, annotations }, ...rest }
}

function wanted(one: KubeObject, hash = 'h', fixedHash: string | null = 'f'): DesiredObject {
  return { object: one, stage: 'config', hash, fixedHash, workload: null, configHash: '' }
}

const desired = (...objects: readonly DesiredObject[]): Desired => ({ objects, problems: [], warnings: [] })
const applied = (...objects: readonly KubeObject[]) => new Map(objects.map((one) => [keyOf(one), one]))
const names = (objects: readonly KubeObject[]) =>
  objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)

describe('what the cluster has, against what is wanted', () => {
  const config = object('ConfigMap', 'shop')

  it('is nothing to do where all hashes are the same', () => {
    const { changed, remade, left } = compareApplied(desired(wanted(config)), applied(config))
    expect([changed, remade, left]).toEqual([[], [], []])
  })

  it('is to be applied where it is missing or another', () => {
    expect(compareApplied(desired(wanted(config)), applied()).changed).toHaveLength(1)
    expect(compareApplied(desired(wanted(config, 'new')), applied(config)).changed).toHaveLength(1)
  })

  it('is made anew where the server would refuse the change', () => {
    const job = object('Job', 'migrate')
    expect(names(compareApplied(desired(wanted(job, 'new', 'g')), applied(job)).remade)).toEqual([
      'Job migrate',
    ])
    expect(compareApplied(desired(wanted(job, 'new')), applied(job)).remade).toEqual([])
  })

  it('is made anew where a changed Job is over', () => {
    const over = object('Job', 'migrate', 'h', 'f', {
      status: { conditions: [{ type: 'Complete', status: 'True' }] },
    })
    expect(names(compareApplied(desired(wanted(over, 'new')), applied(over)).remade)).toEqual(['Job migrate'])
  })

  it('is left over where nobody wants it, and data never is', () => {
    const claim = object('PersistentVolumeClaim', 'data')
    expect(names(compareApplied(desired(), applied(config, claim)).left)).toEqual(['ConfigMap shop'])
  })
})
