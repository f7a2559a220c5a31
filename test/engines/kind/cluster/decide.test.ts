import { describe, expect, it } from 'vitest'
import { decideCluster } from '../../../../src/engines/kind/cluster/decide.js'
import type { ClusterRecord } from '../../../../src/engines/kind/cluster/state.js'
import { node } from './cluster-world.js'

const record = (more: Partial<ClusterRecord> = {}): ClusterRecord => ({
  name: 'devstack',
  phase: 'made',
  since: 1_000_000,
  image: 'devstack/kind-node:1',
  configHash: '',
  nodes: [{ id: 'c0ffee', name: 'devstack-control-plane' }],
  network: null,
  ...more,
})
const making = record({ phase: 'making', nodes: [] })

describe('what is done so that the cluster is there', () => {
  it('nothing there: it is made', () => {
    expect(decideCluster(null, [])).toEqual({ action: 'create', note: null })
    expect(decideCluster(making, [])).toEqual({ action: 'create', note: null })
  })

  it('all there and running: it is used', () => {
    expect(decideCluster(record(), [node()])).toEqual({ action: 'use' })
  })

  it('stopped or paused nodes are started', () => {
    const two = record({ nodes: [...record().nodes, { id: 'b', name: 'devstack-worker' }] })
    const [running, paused, stopped] = [
      node(),
      node({ id: 'b', role: 'worker', state: 'paused' }),
      node({ id: 'b', role: 'worker', state: 'stopped' }),
    ]
    expect(decideCluster(two, [running, paused])).toEqual({ action: 'start', nodes: [paused] })
    expect(decideCluster(two, [running, stopped])).toEqual({ action: 'start', nodes: [stopped] })
  })

  it('its only node removed by hand: it is made anew, and says so, for nothing is left to lose', () => {
    expect(decideCluster(record(), [])).toEqual({
      action: 'create',
      note: 'its node was removed by hand, and what was in it is gone with it',
    })
  })

  it('one of its nodes removed by hand: it is asked first', () => {
    const two = record({ nodes: [...record().nodes, { id: 'b', name: 'devstack-worker' }] })
    expect(decideCluster(two, [node()])).toEqual({
      action: 'askAnew',
      why: 'devstack-worker was removed by hand',
    })
  })

  it('half made by us: it is made anew', () => {
    expect(decideCluster(making, [node({ createdAt: 1_000_000 })])).toMatchObject({ action: 'makeAnew' })
    // The engine cuts its times to whole seconds.
    expect(decideCluster(making, [node({ createdAt: 999_000 })])).toMatchObject({ action: 'makeAnew' })
  })

  it('of our name, but not made by us: it is left alone', () => {
    expect(decideCluster(null, [node()])).toEqual({
      action: 'refuse',
      why: 'devstack did not make devstack-control-plane',
    })
    expect(decideCluster(record(), [node({ id: 'other' })])).toMatchObject({ action: 'refuse' })
    expect(decideCluster(record(), [node(), node({ id: 'other', name: 'x' })])).toMatchObject({
      action: 'refuse',
      why: 'devstack did not make x',
    })
    expect(decideCluster(making, [node({ createdAt: 900_000 })])).toMatchObject({ action: 'refuse' })
  })
})
