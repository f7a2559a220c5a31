import { clusterToolLacks } from '../bootstrap/cluster-tools.js'
import type { CheckDefinition } from './check.js'
import { fail, pass, remedy } from './check.js'

/** What a stack in a cluster on this machine takes beside the engine. */
export const clusterChecks: readonly CheckDefinition[] = [
  {
    category: 'engine',
    name: 'cluster tools',
    look: async ({ cluster, env, signal }) => {
      if (cluster !== true) return null
      const lacks = await clusterToolLacks({ env, signal })
      if (lacks.length === 0) return pass('kind and kubectl are there')
      return fail(
        lacks.join('; '),
        remedy('devstack brings them', ['devstack', 'bootstrap', '--engine', 'kind']),
      )
    },
  },
]
