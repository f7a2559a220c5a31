import { describe, expect, test } from 'vitest'
import type { Workload } from '../../../src/core/kubernetes-workloads.js'
import type { Kube } from '../../../src/engines/kind/kube-ports.js'
import { clearOver } from '../../../src/engines/kind/lifecycle.js'

const workload = { kind: 'Pod', name: 'app' } as Workload

/** An API server that has one object. */
function fakeKube(object: object): { readonly kube: Kube; readonly isThere: () => boolean } {
  let there = true
  const kube = {
    path: () => Promise.resolve('/app'),
    get: () => Promise.resolve(there ? object : null),
    delete: () => {
      there = false
      return Promise.resolve(true)
    },
  }
  return { kube: kube as unknown as Kube, isThere: () => there }
}

const ended = { state: { terminated: { exitCode: 7 } } }
const runs = { state: { running: {} } }

function pod(phase: string, restartPolicy: string, containerStatuses: readonly object[]): object {
  return { kind: 'Pod', spec: { restartPolicy, containers: [] }, status: { phase, containerStatuses } }
}

describe('what is over for good is deleted, so that it can be made anew', () => {
  test.each([
    ['a pod that failed', pod('Failed', 'Never', [ended])],
    [
      'a pod whose phase is late: something else in it is still being ended',
      pod('Running', 'Never', [ended]),
    ],
    ['a Job that failed', { kind: 'Job', status: { conditions: [{ type: 'Failed', status: 'True' }] } }],
  ])('%s', async (_, object) => {
    const { kube, isThere } = fakeKube(object)
    await clearOver(kube, workload, AbortSignal.timeout(5000))
    expect(isThere()).toBe(false)
  })

  test.each([
    ['a pod that runs', pod('Running', 'Never', [runs])],
    ['a pod of which one container still runs', pod('Running', 'Never', [ended, runs])],
    ['a pod whose container is started again', pod('Running', 'Always', [ended])],
    ['a pod that has not begun', pod('Pending', 'Never', [])],
    ['a Job that works', { kind: 'Job', status: {} }],
    ['a Job that is done', { kind: 'Job', status: { conditions: [{ type: 'Complete', status: 'True' }] } }],
  ])('%s is left alone', async (_, object) => {
    const { kube, isThere } = fakeKube(object)
    await clearOver(kube, workload, AbortSignal.timeout(5000))
    expect(isThere()).toBe(true)
  })
})
