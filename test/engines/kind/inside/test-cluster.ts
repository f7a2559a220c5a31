import { findCluster } from '../../../../src/engines/kind/cluster/ensure.js'
import { ensureTestCluster, testCluster as options } from '../../../contract/kind-project.js'
import type { TestCluster } from './pod-world.js'

/** The cluster that all tests of a run share; or one that is there already, `NAME:KUBECONFIG` in DEVSTACK_TEST_PODS. */
export async function testCluster(): Promise<TestCluster> {
  const [name, kubeconfig] = (process.env['DEVSTACK_TEST_PODS'] ?? '').split(':')
  if (name !== undefined && kubeconfig !== undefined) return { name, kubeconfig }
  await ensureTestCluster()
  const found = await findCluster(options(), AbortSignal.timeout(10_000))
  if (found === null) throw new Error('there is no cluster, though one was made')
  return found
}
