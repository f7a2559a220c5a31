import { findCluster } from '../../src/engines/kind/cluster/ensure.js'
import { removeCluster } from '../../src/engines/kind/cluster/remove.js'
import { testCluster } from './kind-project.js'
import { kindIsThere } from './kind-there.js'

let keep = true

/** The tests of a run share one cluster: the one that was there before, else one that goes when they are through. */
export async function setup(): Promise<void> {
  keep = !(await kindIsThere()) || (await isThere())
}

export async function teardown(): Promise<void> {
  if (keep) return
  const options = { ...testCluster(), namespace: 'none', force: true, say: () => undefined }
  await removeCluster(options, AbortSignal.timeout(120_000))
}

/** Also one whose nodes stand still, or that is somebody else's: it is for whoever made it. */
async function isThere(): Promise<boolean> {
  const found = findCluster(testCluster(), AbortSignal.timeout(30_000))
  return await found.then(
    (cluster) => cluster !== null,
    () => true,
  )
}
