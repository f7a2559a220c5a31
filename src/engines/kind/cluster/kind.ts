import { DevstackError } from '../../../core/error.js'
import { createRunner } from '../../images/run.js'
import type { ProgramOutcome } from '../../images/run.js'
import type { ClusterOptions } from './options.js'

/** Runs kind on our engine. */
export type RunKind = (
  argv: readonly string[],
  output: (line: string) => void,
  signal: AbortSignal,
) => Promise<ProgramOutcome>

/**
 * kind never gets to know the user's own kubeconfig: without KUBECONFIG in its environment, and always with a `--kubeconfig`
 * of ours, it neither reads nor writes another.
 */
export function createKind(
  { env, docker }: Pick<ClusterOptions, 'env' | 'docker'>,
  kubeconfig: string,
): RunKind {
  const own = {
    ...env,
    KUBECONFIG: undefined,
    DOCKER_CONTEXT: undefined,
    // Another one may be set for other clusters.
    KIND_EXPERIMENTAL_PROVIDER: 'docker',
    KIND_EXPERIMENTAL_DOCKER_NETWORK: undefined,
    KIND_CLUSTER_NAME: undefined,
  }
  const run = createRunner({ env: own, endpoint: docker.endpoint })
  return async (argv, output, signal) => {
    try {
      return await run({ argv: ['kind', ...argv, '--kubeconfig', kubeconfig], output, signal })
    } catch (error) {
      if (!(error instanceof DevstackError) || error.code !== 'MACHINE_UNSUPPORTED') throw error
      throw new DevstackError('ENGINE_NOT_INSTALLED', 'kind is not installed', {
        hint: 'devstack bootstrap --engine kind',
      })
    }
  }
}
