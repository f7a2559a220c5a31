import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { describe } from 'vitest'
import { findCluster } from '../../src/engines/kind/cluster/ensure.js'
import { ensureTestCluster, testCluster } from '../contract/kind-project.js'
import { kindIsThere } from '../contract/kind-there.js'
import { makePlace, type Place, type PlaceOptions } from './support.js'

const run = promisify(execFile)

const asked = await kindIsThere()

/** A `describe` for a real cluster: skipped, and said so, where none is asked for. */
export const onKind: ReturnType<typeof describe.skipIf> = describe.skipIf(!asked)

if (!asked) process.stderr.write('skipped: no cluster is asked for (DEVSTACK_ENGINES=kind makes one)\n')

/** What a place needs to be in the cluster that all tests of a run share, and that they prove to be theirs. */
export function inTestCluster(): PlaceOptions {
  const { name, stateRoot: state } = testCluster()
  return { state: dirname(state), env: { DEVSTACK_CLUSTER: name } }
}

/** A place in that cluster, which is made where it is not there. */
export async function makeKindPlace(
  files: Readonly<Record<string, string>>,
  options: PlaceOptions = {},
): Promise<Place> {
  await ensureTestCluster()
  const shared = inTestCluster()
  return await makePlace(files, { ...shared, ...options, env: { ...shared.env, ...options.env } })
}

/** Asks the tests' cluster, by its own kubeconfig only. */
export async function kubectl(...argv: readonly string[]): Promise<string> {
  const cluster = await findCluster(testCluster(), AbortSignal.timeout(10_000))
  const { stdout } = await run('kubectl', ['--kubeconfig', cluster?.kubeconfig ?? '/nowhere', ...argv], {
    env: { ...process.env, KUBECONFIG: '' },
    maxBuffer: 64 * 1024 * 1024,
  })
  return stdout.trim()
}
