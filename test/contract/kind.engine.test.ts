import { describe, test } from 'vitest'
import { makeClusterWorld } from './cluster-world.js'
import { describeEngine } from './describe-engine.js'
import { makeKindProject } from './kind-project.js'
import { kindIsThere } from './kind-there.js'

if (await kindIsThere()) {
  describeEngine('kind', () => makeClusterWorld(makeKindProject))
} else {
  describe('kind as an engine', () => {
    test.skip('no cluster is asked for (DEVSTACK_ENGINES=kind makes one)', () => undefined)
  })
}
