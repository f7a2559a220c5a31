import { describe, expect, test } from 'vitest'
import { clusterOptions } from '../../src/cli/cluster.js'

describe('the name of the cluster', () => {
  test.each([
    ['without a word about it', {}, 'devstack'],
    ['an empty one', { DEVSTACK_CLUSTER: '' }, 'devstack'],
    ['one of their own', { DEVSTACK_CLUSTER: 'devstack-ada' }, 'devstack-ada'],
  ])('%s', async (_, env, name) => {
    expect((await clusterOptions({ HOME: '/nowhere', ...env })).name).toBe(name)
  })

  test.each(['--name', 'Ada', 'a b', '../x', 'x'.repeat(50)])('%j is refused', async (wanted) => {
    await expect(clusterOptions({ HOME: '/nowhere', DEVSTACK_CLUSTER: wanted })).rejects.toThrow(
      'is no name for a cluster',
    )
  })
})
